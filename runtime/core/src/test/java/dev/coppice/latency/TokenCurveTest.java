package dev.coppice.latency;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.coppice.api.BundleInfo;
import dev.coppice.api.Preprocessing;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Curves of a model whose every part has a known time, in simulated time. Nothing in it depends on the processor. */
@Tag("build-machine")
final class TokenCurveTest {

  private static final Path WRITTEN = Path.of(System.getProperty("coppice.bundle"), "../../tests/data/curve-of-runs.json");
  private static final List<Integer> REDUCING = List.of(1, 3);
  private static final int PATCHES = 16;

  @TempDir private Path root;
  private final SimulatedHost host = new SimulatedHost();
  private double slowness = 1;

  /** Of five blocks; a step every four tokens. A reducing block's attention meets the tokens that enter, its MLP those that leave. */
  private static long nanos(List<Integer> keep) {
    int tokens = PATCHES + 1;
    long total = 5_000_000;
    for (int block = 0; block < 4; block++) {
      int stage = REDUCING.indexOf(block);
      int leaving = stage < 0 ? tokens : keep.get(stage) + 1;
      total += (block(tokens) + block(leaving)) / 2;
      tokens = leaving;
    }
    return total + 100_000L * tokens;
  }

  private static long block(int tokens) {
    return 1_000_000L * ((tokens + 3) / 4);
  }

  private TokenCurve measure(TokenCurve.Runs runs) throws Exception {
    return TokenCurve.measure(CurveBudgets.of(2, PATCHES), Duration.ofNanos(1), runs, root, host, visits -> { });
  }

  @Test
  void shouldFindTheStaircase() throws Exception {
    for (TokenCurve.Point point : measure(keep -> host.work(nanos(keep))).points()) {
      assertThat(point).isEqualTo(new TokenCurve.Point(point.keep(), nanos(point.keep()) / 1e6, nanos(point.keep()) / 1e6, nanos(point.keep()) / 1e6));
    }
  }

  @Test
  void shouldMeetEveryBudgetAlikeWhileTheMachineSlowsDown() throws Exception {
    // To five times within the curve: what came last would look twice as slow as what came first.
    TokenCurve curve = measure(keep -> host.work(Math.round(nanos(keep) * (slowness += 0.0005))));
    double[] ratios = curve.points().stream().mapToDouble(point -> point.millis() * 1e6 / nanos(point.keep())).sorted().toArray();
    assertThat(ratios[ratios.length - 1] / ratios[0]).isLessThan(1.5);
    assertThat(ratios[ratios.length / 4 * 3] / ratios[ratios.length / 4]).isCloseTo(1, within(0.1));
  }

  @Test
  void shouldVisitEveryBudgetOnceARoundInAnotherOrder() throws Exception {
    List<List<Integer>> visits = new ArrayList<>();
    TokenCurve curve = measure(keep -> {
      host.work(1);
      visits.add(keep);
    });
    int budgets = CurveBudgets.of(2, PATCHES).size();
    List<List<Integer>> first = visits.subList(0, 5 * budgets);
    assertThat(curve.rounds()).isEqualTo(6);
    assertThat(visits).hasSize(5 * budgets * 7); // and one to warm up
    assertThat(first.stream().distinct()).hasSize(budgets);
    assertThat(visits.subList(5 * budgets, 10 * budgets)).isNotEqualTo(first).containsExactlyInAnyOrderElementsOf(first);
  }

  @Test
  void shouldHoldAnIntervalAroundANoisyMedian() throws Exception {
    long[] visit = {0};
    TokenCurve curve = measure(keep -> host.work(1_000_000 + visit[0]++ / 5 * 7_919 % 100_000));
    assertThat(curve.points()).allMatch(point -> point.low() < point.millis() && point.millis() < point.high());
  }

  @Test
  void shouldSayWhatSpeaksAgainstIt() throws Exception {
    FakeBoard board = FakeBoard.cool(root);
    int[] run = {0};
    TokenCurve curve = measure(keep -> {
      host.work(nanos(keep));
      if (++run[0] == 1000) {
        board.governor("powersave");
      }
    });
    assertThat(curve.findings()).extracting(Finding::doubt).containsExactly(Doubt.GOVERNOR);
  }

  @Test
  void shouldTakeAtMost256Counts() {
    assertThat(CurveBudgets.counts(196)).hasSize(196).startsWith(1, 2, 3).endsWith(196);
    assertThat(CurveBudgets.counts(1024)).hasSize(256).startsWith(1, 5, 9).endsWith(1024);
    assertThat(CurveBudgets.of(1, 3)).containsExactly(List.of(1), List.of(2), List.of(3));
    assertThat(CurveBudgets.of(3, 1)).containsExactly(List.of(1, 1, 1));
  }

  /** The file is what the exporter's tests read. */
  @Test
  void shouldWriteWhatTheExporterReads() throws Exception {
    Map<String, String> machine = new LinkedHashMap<>(Map.of("machine", "a board", "isa", "neon", "onnxruntime", "1.29.0"));
    BundleInfo bundle = new BundleInfo("five-blocks", "1.0.0", List.of("PruneMergeTokens", "TokenAttention"), "float32", List.of("a"),
        new Preprocessing(32, 32, List.of(0f, 0f, 0f), List.of(1f, 1f, 1f)), 4, 1, 2, REDUCING, List.of(), Optional.empty(), Optional.empty(), Map.of(), "0".repeat(64), "1".repeat(64));
    String found = CurveJson.of(bundle, machine, 4, measure(keep -> host.work(nanos(keep))));
    Files.writeString(Path.of("target/curve-of-runs.json"), found);
    assertThat(read()).as("the format has changed; if that is meant, copy runtime/core/target/curve-of-runs.json to " + WRITTEN.normalize()).isEqualTo(found);
  }

  private static String read() throws IOException {
    return Files.exists(WRITTEN) ? Files.readString(WRITTEN) : "";
  }
}
