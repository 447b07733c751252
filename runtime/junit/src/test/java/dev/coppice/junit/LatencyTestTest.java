package dev.coppice.junit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectMethod;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Tag;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.platform.engine.DiscoverySelector;
import org.junit.platform.engine.OutputDirectoryCreator;
import org.junit.platform.engine.TestDescriptor;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.testkit.engine.EngineTestKit;
import org.junit.platform.testkit.engine.Event;
import org.junit.platform.testkit.engine.Events;

/** Latency tests as JUnit runs them, in real time, on fake boards and with the real model. */
@Tag("build-machine")
final class LatencyTestTest {

  private static final Path PI_4 = Path.of(System.getProperty("coppice.fixtures"), "raspberry-pi-4b");

  @TempDir private Path folder;

  /** Runs {@link Examples} on a board with these files. */
  private Events run(DiscoverySelector what, Path root, String... parameters) {
    EngineTestKit.Builder kit = EngineTestKit.engine("junit-jupiter").selectors(what).configurationParameter("coppice.latency.root", root.toString())
        .outputDirectoryCreator(new OutputDirectoryCreator() {
          @Override
          public Path getRootDirectory() {
            return folder;
          }

          @Override
          public Path createOutputDirectory(TestDescriptor test) throws IOException {
            return Files.createDirectories(folder.resolve("reports"));
          }
        });
    for (String parameter : parameters) {
      kit.configurationParameter(parameter.split("=")[0], parameter.split("=")[1]);
    }
    return kit.execute().allEvents();
  }

  private Events run(Class<?> example, String... parameters) {
    return run(selectClass(example), folder.resolve("board"), parameters);
  }

  private static List<TestExecutionResult> results(Events events) {
    return events.finished().stream().filter(event -> event.getTestDescriptor().isTest()).map(event -> event.getRequiredPayload(TestExecutionResult.class)).toList();
  }

  private static String message(TestExecutionResult result) {
    return result.getThrowable().map(Throwable::getMessage).orElse("");
  }

  /** The only failure, of a test or of what contains it. */
  private static String failure(Events events) {
    List<String> messages = events.failed().stream().map(event -> message(event.getRequiredPayload(TestExecutionResult.class))).toList();
    assertThat(messages).hasSize(1);
    return messages.get(0);
  }

  @Test
  void shouldPassWithinTheLimitAndPublishWhatItMeasured() throws IOException {
    Events events = run(Examples.Fast.class);
    assertThat(results(events)).extracting(TestExecutionResult::getStatus).containsExactly(TestExecutionResult.Status.SUCCESSFUL);
    assertThat(events.reportingEntryPublished().stream().map(Event::getPayload).map(Object::toString).toList().toString())
        .contains("PASS: within 10.00 s: SINGLE_STREAM p50 ", "service time, closed loop");
    Path reports = folder.resolve("reports");
    assertThat(Files.readString(reports.resolve("latency.json"))).contains("\"verdict\" : \"PASS\"", "\"scenario\" : \"SINGLE_STREAM\"", "\"temperature\" : \"no readable zone");
    assertThat(Files.readString(reports.resolve("latency.hgrm"))).contains("Value     Percentile TotalCount 1/(1-Percentile)", "#[Max ");
    assertThat(Files.readString(reports.resolve("latency.html"))).contains("<svg ", "PASS: within 10.00 s", "Not known: temperature (", "upper bound of p50 ", " samples</text>", "Measuring itself takes ").doesNotContain("<script", "http");
  }

  @Test
  void shouldFailBeyondTheLimit() {
    assertThat(failure(run(Examples.Slow.class))).contains("FAIL: beyond 1.000 ms: SINGLE_STREAM p50 ");
  }

  @Test
  void shouldAbortWhenTheSamplesCannotTell() {
    List<TestExecutionResult> results = results(run(Examples.Undecided.class));
    assertThat(results).extracting(TestExecutionResult::getStatus).containsExactly(TestExecutionResult.Status.ABORTED);
    assertThat(message(results.get(0))).contains("INCONCLUSIVE: ", "fewer than the 44 independent samples");
  }

  @Test
  void shouldFailInsteadOfAbortingWhenItIsStrict() {
    assertThat(failure(run(Examples.Undecided.class, "coppice.latency.strict=true"))).contains("INCONCLUSIVE: ");
  }

  @Test
  void shouldTimeTheRealModel() throws IOException {
    assertThat(results(run(Examples.Model.class))).extracting(TestExecutionResult::getStatus).containsExactly(TestExecutionResult.Status.SUCCESSFUL);
    assertThat(Files.readString(folder.resolve("reports/latency.json"))).contains("\"bundle\" : \"imagenette-mini ", "\"threads\" : \"1\"");
  }

  @Test
  void shouldServeAtARate() {
    Events events = run(Examples.Served.class);
    assertThat(results(events)).extracting(TestExecutionResult::getStatus).containsExactly(TestExecutionResult.Status.SUCCESSFUL);
    assertThat(events.reportingEntryPublished().stream().map(Event::getPayload).map(Object::toString).toList().toString()).contains("intended start, open loop");
  }

  @Test
  void shouldNotTrustABoardThatThrottles() throws IOException {
    Path bits = folder.resolve("board/sys/devices/platform/soc/soc:firmware/get_throttled");
    Files.createDirectories(bits.getParent());
    Files.writeString(bits, "0\n");
    System.setProperty("coppice.test.board", folder.resolve("board").toString());
    List<TestExecutionResult> results = results(run(Examples.Throttling.class));
    assertThat(results).extracting(TestExecutionResult::getStatus).containsExactly(TestExecutionResult.Status.ABORTED);
    assertThat(message(results.get(0))).contains("INVALID: the board throttled (get_throttled 0x40004, 0x0 at the start)");
  }

  @Test
  void shouldNotTrustForksThatLieApart() {
    List<TestExecutionResult> results = results(run(Examples.Apart.class));
    assertThat(results).extracting(TestExecutionResult::getStatus).containsExactly(TestExecutionResult.Status.SUCCESSFUL, TestExecutionResult.Status.ABORTED);
    assertThat(message(results.get(1))).contains("INVALID: the forks lie from ", "expected within 10 %");
  }

  @Test
  void shouldSkipOnAnotherBoardAndSayWhy() {
    Events events = run(selectClass(Examples.OnlyOnAPi5.class), PI_4);
    assertThat(events.skipped().stream().map(Event::getPayload).map(Object::toString).toList().toString())
        .contains("the limit is meant for raspberry-pi-5, and this board is raspberry-pi-4b");
    assertThat(results(events)).isEmpty();
  }

  @Test
  void shouldRecordWhatTheJvmDidMeanwhile() throws IOException {
    assertThat(results(run(Examples.Recorded.class))).extracting(TestExecutionResult::getStatus).containsExactly(TestExecutionResult.Status.SUCCESSFUL);
    assertThat(RecordingFile.readAllEvents(folder.resolve("reports/latency.jfr"))).extracting(event -> event.getEventType().getName()).contains("coppice.Inference", "jdk.JVMInformation");
  }

  @Test
  void shouldNotTrustAForkThatBeganHotterThanTheFirst() throws IOException {
    Path zone = Files.createDirectories(folder.resolve("board/sys/class/thermal/thermal_zone0"));
    Files.writeString(zone.resolve("type"), "cpu-thermal\n");
    Examples.Heats.temperature = Files.writeString(zone.resolve("temp"), "40000\n");
    List<TestExecutionResult> results = results(run(selectClass(Examples.Heats.class), folder.resolve("board")));
    assertThat(results).extracting(TestExecutionResult::getStatus).containsExactly(TestExecutionResult.Status.SUCCESSFUL, TestExecutionResult.Status.ABORTED);
    assertThat(message(results.get(1))).startsWith("INVALID: the processor had 60.0 degrees Celsius after ").contains("expected at most 43.0");
  }

  @Test
  void shouldRunOnItsBoard() {
    Events events = run(selectClass(Examples.OnlyOnAPi5.class), PI_4.resolveSibling("raspberry-pi-5"));
    assertThat(results(events)).extracting(TestExecutionResult::getStatus).containsExactly(TestExecutionResult.Status.SUCCESSFUL);
  }

  @Test
  void shouldFailInsteadOfSkippingWhereTheBoardIsRequired() {
    assertThat(failure(run(selectClass(Examples.OnlyOnAPi5.class), PI_4, "coppice.latency.require=raspberry-pi-5")))
        .contains("this board is raspberry-pi-4b; coppice.latency.require says that it must not be skipped");
    assertThat(run(selectClass(Examples.OnlyOnAPi5.class), PI_4, "coppice.latency.require=raspberry-pi-4b").skipped().count()).isEqualTo(1);
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', textBlock = """
      limitWithoutUnit | @LatencyTest of limitWithoutUnit: limit must be a duration above 0 with its unit (us, ms, s or min), such as 40 ms: 40.
      percentileAbove100 | @LatencyTest of percentileAbove100: percentile must be above 0 and below 100: 101.0.
      tooFewSamples | needs at least
      serverWithoutRate | rate must be above 0 and at most 1000000 a second for SERVER
      noForks | forks must be 1..20: 0.
      noBundle | bundle must be a folder with a bundle.json: /
      unknownDevice | raspberry-pi-9.
      nothingMeasured | This latency test measured nothing: take a LatencyProbe as parameter and call its measure(...).
      measuredTwice | A latency test measures once: make a second @LatencyTest for what else is to be timed.
      classifierWithoutBundle | This latency test has no bundle: give @LatencyTest(bundle = ...) a folder.
      """)
  void shouldRefuseInOneSentence(String mistake, String sentence) {
    assertThat(failure(run(selectMethod(Examples.Wrong.class, mistake, LatencyProbe.class), folder.resolve("board")))).contains(sentence).hasLineCount(1);
  }
}
