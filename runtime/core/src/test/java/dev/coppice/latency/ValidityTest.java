package dev.coppice.latency;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A board on which something happens in the middle of a measurement. Nothing in it depends on the processor. */
@Tag("build-machine")
final class ValidityTest {

  private static final LatencyPlan PLAN = LatencyPlan.defaults().withCapacity(100_000).withLimit(99, Optional.of(Duration.ofMillis(40)), 0.99);

  @TempDir private Path root;
  private final SimulatedHost host = new SimulatedHost();
  private FakeBoard board;

  @BeforeEach
  void boardIsCool() {
    board = FakeBoard.cool(root);
  }

  /** 10 ms a run; after 30 of 60 seconds the event. */
  private Outcome measure(LatencyPlan plan, Runnable event) throws Exception {
    int[] run = {0};
    return Measurement.run(plan, () -> {
      host.work(10_000_000);
      if (++run[0] == 3000) {
        event.run();
      }
    }, root, host, samples -> { });
  }

  private void shouldBeInvalid(Doubt doubt, String sentence, Runnable event) throws Exception {
    Outcome found = measure(PLAN, event);
    assertThat(found.findings()).extracting(Finding::doubt).containsExactly(doubt);
    assertThat(found.verdict()).contains(Verdict.INVALID);
    assertThat(found.sentence()).startsWith("INVALID: " + sentence);
  }

  @Test
  void shouldPassWhereNothingHappens() throws Exception {
    Outcome found = measure(PLAN, () -> { });
    assertThat(found.verdict()).contains(Verdict.PASS);
    assertThat(found.readings()).hasSizeBetween(115, 125); // twice a second
    assertThat(found.readings().get(0).celsius()).hasValue(47.75);
    assertThat(found.unknown()).isEmpty();
  }

  @Test
  void shouldNotTrustABoardThatThrottles() throws Exception {
    shouldBeInvalid(Doubt.THROTTLING, "the board throttled (get_throttled 0x40004, 0x0 at the start)", () -> board.throttled("40004"));
  }

  @Test
  void shouldNotTrustABoardThatThrottledOnlyBetweenTwoReadings() throws Exception {
    shouldBeInvalid(Doubt.THROTTLING, "the board throttled (get_throttled 0x40000", () -> board.throttled("40000"));
  }

  @Test
  void shouldForgiveWhatHappenedBeforeTheTest() throws Exception {
    board.throttled("50000");
    assertThat(measure(PLAN, () -> { }).verdict()).contains(Verdict.PASS);
  }

  @Test
  void shouldNotTrustAKernelThatCoolsTheProcessor() throws Exception {
    board.cooling(0);
    shouldBeInvalid(Doubt.THROTTLING, "the kernel held the clock down for heat (cooling state 2, 0 at the start)", () -> board.cooling(2));
  }

  @Test
  void shouldNotTrustAClockThatFalls() throws Exception {
    shouldBeInvalid(Doubt.CLOCK, "the clock was below 95 % of the [2400] MHz at the start", () -> board.clock(2_200_000));
  }

  @Test
  void shouldNotTrustAnotherGovernor() throws Exception {
    shouldBeInvalid(Doubt.GOVERNOR, "the frequency governor changed from [performance] to [powersave]", () -> board.governor("powersave"));
  }

  @Test
  void shouldNotTrustABoardThatSwaps() throws Exception {
    shouldBeInvalid(Doubt.SWAP, "5 pages came back from swap", () -> board.write("proc/vmstat", "pswpin 17\n"));
  }

  @Test
  void shouldNotTrustABusyBoard() throws Exception {
    // 24,000 ticks of four processors in a minute, 7,500 of them busy, 6,000 of those ours.
    shouldBeInvalid(Doubt.LOAD, "other processes took 6 % of the processors", () -> board.processors(17_500, 106_500, 6_500));
  }

  @Test
  void shouldNotMistakeItsOwnWorkForThatOfOthers() throws Exception {
    assertThat(measure(PLAN, () -> board.processors(17_000, 107_000, 6_500)).verdict()).contains(Verdict.PASS); // 1,000 of 24,000: 4 %
  }

  @Test
  void shouldNotTrustAJvmThatCollectsAllTheTime() throws Exception {
    shouldBeInvalid(Doubt.GARBAGE, "the garbage collector ran 61 times in 6000 samples", () -> host.collections += 61);
  }

  @Test
  void shouldSayInFrontWhatWasAllowed() throws Exception {
    Outcome found = measure(PLAN.withAllowed(Set.of(Doubt.THROTTLING)), () -> board.throttled("40004"));
    assertThat(found.verdict()).contains(Verdict.PASS);
    assertThat(found.sentence()).startsWith("Allowed: the board throttled");
  }

  @Test
  void shouldGuessNothingOnABoardWithoutSensors(@TempDir Path empty) throws Exception {
    Outcome found = Measurement.run(PLAN, () -> host.work(10_000_000), empty, host, samples -> { });
    assertThat(found.verdict()).contains(Verdict.PASS);
    assertThat(found.unknown()).containsOnlyKeys("clock and governor", "temperature", "throttle bits", "swap", "load", "load of this process", "memory", "pressure of processor",
        "pressure of memory", "pressure of disk");
    assertThat(found.readings().get(0).governors()).isEqualTo(List.of());
  }
}
