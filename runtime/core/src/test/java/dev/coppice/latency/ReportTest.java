package dev.coppice.latency;

import static org.assertj.core.api.Assertions.assertThat;

import dev.coppice.api.Diagnostics;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Reports as they are written, and as somebody might have changed them. Nothing in it depends on the processor. */
@Tag("build-machine")
final class ReportTest {

  private static final Path PI_5 = Path.of(System.getProperty("coppice.fixtures"), "raspberry-pi-5");

  @TempDir private static Path root;
  private static String report;

  @BeforeAll
  static void measure() throws Exception {
    FakeBoard board = FakeBoard.cool(root);
    SimulatedHost host = new SimulatedHost();
    int[] run = {0};
    SplittableRandom random = new SplittableRandom(1);
    LatencyPlan plan = LatencyPlan.defaults().withCapacity(10_000).withLimit(99, Optional.of(Duration.ofMillis(40)), 0.99);
    Outcome outcome = Measurement.run(plan, () -> {
      host.work(10_000_000 + random.nextInt(1_000_000));
      if (++run[0] == 3000) {
        board.stalled("io", 1500);
      }
    }, root, host, samples -> { });
    Map<String, String> facts = Map.of("java", "17.0.15 (Debian)", "platform", "Linux 6.12.34-marys-kernel, aarch64", "onnx runtime", "1.29.0", "isa", "neon", "operators sha256", "0a1b", "operators", "/home/me/libcoppice_ops.so");
    Diagnostics machine = new Diagnostics(facts, List.of());
    Map<String, String> about = new LinkedHashMap<>(Map.of("date", "2026-11-21"));
    about.putAll(Facts.machine(PI_5, machine));
    report = ReportJson.of(about, outcome);
  }

  @Test
  void shouldFindNothingWrongWithAReport() throws IOException {
    assertThat(ReportCheck.faults(report)).isEmpty();
    assertThat(report).contains("\"power_mode\" : \"unknown\"", "\"available_mib\" : [ 7168.0, 7168.0, 7168.0, 7168.0 ]", "\"stalled_disk_micros\" : 500", "\"own_bytes_per_sample\" : 0.0",
        "\"cool_down_nanos\" : 0", "\"library_sha256\" : \"0a1b\"");
    assertThat(report).contains("\"board\" : \"raspberry-pi-5\"", "\"glibc\" : \"unknown\"", "\"celsius\" : [ 47.75, 47.75, 47.75, 47.75 ]", "\"verdict\" : \"PASS\"", "\"limit_nanos\" : 40000000");
  }

  @Test
  void shouldNameNoFolderOfTheSender() {
    assertThat(report).contains("\"Linux 6.12.34, aarch64\"").doesNotContain("/home", "mary", System.getProperty("user.name") + "@", root.toString());
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', textBlock = """
      "format" : 1 | "format" : 2 | Field format must be 1: 2.
      "p50_nanos" : 1 | "p50_nanos" : 3 | Field result.p50_nanos is
      "p99_nanos" : 10 | "p99_nanos" : 12 | Field result.p99_nanos is
      "samples" : 5 | "samples" : 6 | samples and result.samples says 6
      "raspberry-pi-5" | "raspberry-pi-9" | Field about.board must be unknown or one of
      "limit_nanos" : 40000000 | "limit_nanos" : 4000000 | the upper bound is not within the limit
      "machine" : | "hostname" : | Field about.machine is missing.
      "sentence" : | "sentence" : 5, "x" : | Field result.sentence is unknown or of another type.
      "findings" : [ ] | "findings" : [ {"doubt" : "LOAD", "sentence" : "busy"} ] | PASS although findings speak against it
      "isa" : "neon" | "isa" : null | Field about.isa is unknown or of another type.
      "about" : { | "about" : [ | The report is not valid JSON
      """)
  void shouldSayWhatWasChanged(String passage, String other, String sentence) {
    assertThat(report).contains(passage);
    assertThat(String.join(" ", ReportCheck.faults(report.replaceFirst(Pattern.quote(passage), Matcher.quoteReplacement(other))))).contains(sentence);
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', textBlock = """
      '' | is missing
      [] | is missing
      null | is unknown
      {"format" : 1 | not valid JSON
      """)
  void shouldSurviveWhatIsNoReport(String text, String sentence) {
    assertThat(String.join(" ", ReportCheck.faults(text))).contains(sentence);
  }
}
