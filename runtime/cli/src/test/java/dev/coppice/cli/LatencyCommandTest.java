package dev.coppice.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Short measurements of the shipped bundle. A busy machine may make each of them INVALID, and says so. */
@Tag("build-machine")
final class LatencyCommandTest {

  @TempDir private Path folder;

  private static Cli latency(Object... options) {
    List<Object> all = new ArrayList<>(List.of("latency", Cli.BUNDLE, "--threads=1", "--duration=300 ms", "--warm-up=100 ms", "--percentile=50"));
    all.addAll(List.of(options));
    return Cli.run(all.toArray());
  }

  @Test
  void shouldSayWhatItMeasured() {
    Cli end = latency();
    assertThat(end.err()).isEmpty(); // no progress in a pipe
    assertThat(end.out()).contains("SINGLE_STREAM p50 ", " with 99 % confidence from ", "Times are service time, closed loop; median ");
    assertThat(end.code()).isIn(0, 1);
  }

  @Test
  void shouldServeAtARate() {
    assertThat(latency("--scenario=server", "--rate=20").out()).contains("SERVER p50 ", "from the intended start, open loop");
  }

  @Test
  void shouldWriteAReportThatItsOwnCheckAccepts() throws IOException {
    Path report = folder.resolve("report.json");
    latency("--scenario=OFFLINE", "--keep=0.5", "--image", Cli.golfBall(), "--report", report);
    assertThat(Files.readString(report)).contains("\"scenario\" : \"OFFLINE\"", "\"bundle\" : \"imagenette-mini ", "\"threads\" : \"1\"", "\"keep\" : \"50,25\"");
    assertThat(Cli.run("latency", "--check-report", report)).isEqualTo(new Cli(0, "The report is complete and agrees with itself.\n", ""));
    Files.writeString(report, Files.readString(report).replace("\"samples\" : ", "\"samples\" : 9"));
    assertThat(Cli.run("latency", "--check-report", report).out()).contains("result.samples says 9", "faults.");
  }

  @Test
  void shouldCompareTwoBundlesSideBySide() {
    Cli end = latency("--compare", Cli.BUNDLE);
    assertThat(end.out()).startsWith("The second takes ").contains(" times as long as the first, with 95 % confidence ");
    assertThat(end.code()).isZero();
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', textBlock = """
      --scenario=camera | Invalid value for option '--scenario'
      --limit=40 | coppice: --limit must be a duration above 0 with its unit (us, ms, s or min), such as 40 ms: 40.
      --percentile=100 | coppice: percentile must be above 0 and below 100: 100.0.
      --scenario=server | coppice: rate must be above 0 and at most 1000000 a second for SERVER
      --limit=soon | coppice: --limit must be a duration above 0 with its unit (us, ms, s or min), such as 40 ms: soon.
      --percentile=often | Invalid value for option '--percentile'
      --max-duration=1 ms | coppice: minDuration must be at most maxDuration: 300.0 ms above 1.000 ms.
      --preset=camera | Invalid value for option '--preset'
      --devices=rpi | coppice: devices must be of [jetson-agx-orin,
      --require | coppice: --require needs --devices.
      --allow=HOT | Invalid value for option '--allow'
      --cool-down=5 | coppice: --cool-down must be a duration above 0 with its unit (us, ms, s or min), such as 40 ms: 5.
      --report=/no/such/folder/report.json | coppice: --report must be a file in a folder that exists: /no/such/folder/report.json.
      --check-report=/no/such/report.json | coppice: --check-report must be a file that exists: /no/such/report.json.
      --threads=0 | threads must be 1..64: 0.
      """)
  void shouldRefuseInOneSentence(String option, String sentence) {
    Cli end = Cli.run("latency", Cli.BUNDLE, "--duration=300 ms", option);
    assertThat(end.err()).contains(sentence).hasLineCount(1);
    assertThat(end.code()).isEqualTo(2);
  }

  @Test
  void shouldRefuseFewerSamplesThanThePercentileNeeds() {
    Cli end = latency("--scenario=server", "--rate=20", "--limit=40 ms");
    assertThat(end).isEqualTo(new Cli(2, "", "coppice: percentile 50.0 needs at least 7 samples for a verdict, and there will be about 6: choose a lower percentile, or more time.\n"));
  }

  @Test
  void shouldIgnoreNoneOfTwoThingsToDo() {
    Cli end = latency("--compare", Cli.BUNDLE, "--curve=curve.json");
    assertThat(end.err()).startsWith("coppice: --report, --curve and --compare exclude each other.").hasLineCount(1);
    assertThat(end.code()).isEqualTo(2);
  }

  @Test
  void shouldRefuseABundleThatIsNone() {
    assertThat(Cli.run("latency", folder).code()).isEqualTo(3);
    assertThat(Cli.run("latency").err()).startsWith("coppice: Missing required parameter: 'BUNDLE'.");
  }
}
