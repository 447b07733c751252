package dev.coppice.latency;

import static org.assertj.core.api.Assertions.assertThat;

import dev.coppice.device.BoardProfile;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The page of boards says what the reports in its folder say, and nothing else. */
@Tag("build-machine")
final class BoardsPageTest {

  private static final Path DOCS = Path.of(System.getProperty("coppice.bundle"), "../../../docs/reference").normalize();
  private static final Set<String> EMULATED = Set.of("Cortex-A53", "Cortex-A72", "Cortex-A76"); // by .ci/test

  static List<Path> files() throws IOException {
    try (Stream<Path> files = Files.list(DOCS.resolve("reports"))) {
      return files.sorted().toList();
    }
  }

  private static Map<String, Object> values(Path file) {
    try {
      return ReportCheck.values(Files.readString(file));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static List<String> doubts(Map<String, Object> report) {
    return report.entrySet().stream().filter(value -> value.getKey().endsWith(".doubt")).map(value -> value.getValue().toString()).distinct().toList();
  }

  private static boolean shows(Map<String, Object> report, BoardProfile board) {
    return report.get("about.board").equals(board.key()) && doubts(report).isEmpty();
  }

  private static String state(BoardProfile board, List<Map<String, Object>> reports) {
    if (board.unsupported().isPresent()) {
      return "refused: " + board.unsupported().get();
    }
    if (reports.stream().anyMatch(report -> shows(report, board))) {
      return "measured";
    }
    return board.clusters().stream().map(BoardProfile.Cluster::core).anyMatch(EMULATED::contains) ? "emulated" : "untested";
  }

  private static String row(Path file) {
    Map<String, Object> report = values(file);
    String against = doubts(report).isEmpty() ? "nothing" : String.join(", ", doubts(report));
    String key = report.get("about.board").toString();
    String board = key.equals("unknown") || key.startsWith("generic-") ? "none of ours" : key;
    return "| [" + report.get("about.machine") + "](reports/" + file.getFileName() + "), " + board + " | " + report.get("about.bundle") + ", keep " + report.get("about.keep") + " | " + report.get("about.isa") + ", "
        + report.get("about.threads") + " | " + time(report, "p50") + " | " + time(report, "p90") + " | " + time(report, "p99") + " | " + against + " | " + report.get("about.date") + " |";
  }

  private static String time(Map<String, Object> report, String percentile) {
    return Durations.text((Double) report.get("result." + percentile + "_nanos"));
  }

  private static String tables() throws IOException {
    List<Path> files = files();
    List<Map<String, Object>> reports = files.stream().map(BoardsPageTest::values).toList();
    String states = BoardProfile.all().stream().filter(board -> !board.isGeneric()).map(board -> "| " + board.name() + " | `" + board.key() + "` | " + board.clusters().stream().map(BoardProfile.Cluster::core).collect(Collectors.joining(" + ")) + " | "
        + state(board, reports) + " |").collect(Collectors.joining("\n"));
    String rows = files.stream().map(BoardsPageTest::row).collect(Collectors.joining("\n"));
    return """
        | board | name | processor | state |
        | --- | --- | --- | --- |
        %s

        | machine | model | operators, threads | p50 | p90 | p99 | speaks against it | date |
        | --- | --- | --- | --- | --- | --- | --- | --- |
        %s
        """.formatted(states, rows);
  }

  @ParameterizedTest
  @MethodSource("files")
  void shouldHoldOnlyReportsThatCanBeBelieved(Path file) throws IOException {
    assertThat(ReportCheck.faults(Files.readString(file))).isEmpty();
  }

  @Test
  void shouldSayOnThePageWhatTheReportsSay() throws IOException {
    String tables = tables();
    Files.writeString(Path.of("target/boards.md"), tables);
    assertThat(Files.readString(DOCS.resolve("boards.md"))).as("copy the tables of runtime/core/target/boards.md to docs/reference/boards.md").contains(tables);
  }

  @Test
  void shouldCallABoardMeasuredOnlyByAReportWithoutDoubts() {
    BoardProfile pi5 = BoardProfile.all().stream().filter(board -> board.key().equals("raspberry-pi-5")).findFirst().orElseThrow();
    Map<String, Object> clean = Map.of("about.board", "raspberry-pi-5");
    assertThat(state(pi5, List.of(clean))).isEqualTo("measured");
    assertThat(state(pi5, List.of(Map.of("about.board", "raspberry-pi-5", "findings.0.doubt", "THROTTLING")))).isEqualTo("emulated");
    assertThat(state(pi5, List.of(Map.of("about.board", "raspberry-pi-4b")))).isEqualTo("emulated");
  }
}
