package dev.coppice.schedule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Single decisions of the controller; {@link TraceTest} has whole traces. */
final class BudgetControllerTest {

  private static final int ANY = 4;
  private static final long MILLI = 1_000_000;

  private final BudgetController controller = new BudgetController(new LatencyLadder(Simulation.VIT_TINY), 2.33, 80);

  @Test
  void shouldTakeTheMostAccurateRungThatFits() {
    assertThat(controller.choose(0, 40 * MILLI, 1, 20, ANY)).isZero();
    assertThat(controller.choose(0, 26 * MILLI, 1, 20, ANY)).isEqualTo(2);
  }

  @Test
  void shouldActOnASlowerClockBeforeTheFirstLateRun() {
    assertThat(controller.choose(0, 40 * MILLI, 2, 20, ANY)).isEqualTo(3);
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, -1, Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY})
  void shouldIgnoreAClockThatIsNone(double clock) {
    controller.ran(0, 0, 27 * MILLI, clock);
    assertThat(controller.choose(0, 40 * MILLI, clock, 20, ANY)).isZero();
    assertThat(controller.slowdown()).isBetween(0.95, 1.05);
  }

  @ParameterizedTest
  @CsvSource({"74.9, 0", "75.1, 1", "77.6, 3", "79.9, 4", "95, 4", "NaN, 0"})
  void shouldCloseDearRungsBelowTheThrottlePoint(double celsius, int place) {
    assertThat(controller.choose(0, 1000 * MILLI, 1, celsius, ANY)).isEqualTo(place);
  }

  @Test
  void shouldRefuseWhatCannotBeDoneInTime() {
    assertThat(controller.choose(0, 5 * MILLI, 1, 20, ANY)).isEqualTo(BudgetController.NONE);
    assertThat(controller.predictedNanos()).isGreaterThan(11e6);
  }

  @Test
  void shouldNeverGoBelowTheAccuracyThatIsAskedFor() {
    assertThat(controller.fastest(60)).isEqualTo(2);
    assertThat(controller.choose(0, 16 * MILLI, 1, 20, 2)).isEqualTo(BudgetController.NONE);
    assertThat(controller.choose(0, 1000 * MILLI, 1, 95, 2)).isEqualTo(2);
    assertThat(controller.fastest(73)).isEqualTo(BudgetController.NONE);
  }

  @Test
  void shouldRefuseNothingForOneSlowRunButForTwo() {
    controller.choose(0, 40 * MILLI, 1, 20, ANY);
    controller.ran(0, 0, 270 * MILLI, 1);
    assertThat(controller.choose(10 * MILLI, 40 * MILLI, 1, 20, ANY)).isEqualTo(4);
    controller.ran(4, 120 * MILLI, 110 * MILLI, 1);
    assertThat(controller.choose(130 * MILLI, 40 * MILLI, 1, 20, ANY)).isEqualTo(BudgetController.NONE);
  }

  @Test
  void shouldFindOutAfterHalfASecondWithoutARunInsteadOfRefusingForEver() {
    controller.choose(0, 40 * MILLI, 1, 20, ANY);
    controller.ran(0, 0, 2700 * MILLI, 1);
    controller.ran(0, 0, 2700 * MILLI, 1);
    assertThat(controller.choose(10 * MILLI, 40 * MILLI, 1, 20, ANY)).isEqualTo(BudgetController.NONE);
    assertThat(controller.choose(600 * MILLI, 40 * MILLI, 1, 20, ANY)).isEqualTo(4);
    controller.ran(4, 611 * MILLI, 11 * MILLI, 1);
    assertThat(controller.slowdown()).isBetween(0.9, 1.2);
  }

  @Test
  void shouldClimbAfterSomeRunsAsFarAsAllOfThemHadRoomFor() {
    for (int run = 0; run < 20; run++) {
      controller.ran(0, 0, 27_300_000, 1);
    }
    assertThat(controller.choose(0, 23 * MILLI, 1, 20, ANY)).isEqualTo(2);
    long now = 0;
    for (int run = 0; run < BudgetController.GOOD_RUNS - 1; run++) {
      now += 40 * MILLI;
      assertThat(controller.choose(now, (run == 3 ? 26 : 1000) * MILLI, 1, 20, ANY)).isEqualTo(2);
    }
    assertThat(controller.choose(now + 40 * MILLI, 1000 * MILLI, 1, 20, ANY)).isEqualTo(1);
  }

  @Test
  void shouldAllocateNothing() throws ReflectiveOperationException {
    decide(20_000);
    long before = Allocation.bytes();
    decide(100_000);
    // Asking for the count allocates a little itself; a decision that did would show 100,000 times.
    assertThat(Allocation.bytes() - before).isLessThan(10_000);
  }

  @Test
  @Tag("build-machine") // an emulator's time means nothing
  void shouldDecideWithinFiveMicroseconds() {
    decide(200_000);
    long best = Long.MAX_VALUE;
    for (int round = 0; round < 20; round++) {
      long start = System.nanoTime();
      decide(1000);
      best = Math.min(best, System.nanoTime() - start);
    }
    assertThat(best / 1000).isLessThanOrEqualTo(5000);
  }

  private void decide(int times) {
    for (int i = 0; i < times; i++) {
      int place = controller.choose(i * 40L * MILLI, (20 + i % 30) * MILLI, 1 + i % 3, 60 + i % 20, ANY);
      if (place != BudgetController.NONE) {
        controller.ran(place, i * 40L * MILLI, (15 + i % 20) * MILLI, 1 + i % 3);
      }
    }
  }

  @Test
  void shouldLeaveOutRungsThatAreNeitherFasterNorMoreAccurate() {
    LatencyLadder ladder = new LatencyLadder(List.of(
        new LatencyLadder.Step(0, 80.4, 30, 1), new LatencyLadder.Step(1, 80.5, 20, 1), new LatencyLadder.Step(2, 70, 25, 1), new LatencyLadder.Step(3, 70, 10, 1)));
    assertThat(ladder.steps()).extracting(LatencyLadder.Step::rung).containsExactly(1, 3);
  }

  @Test
  void shouldRefuseALadderWithoutRungsOrTimes() {
    assertThatThrownBy(() -> new LatencyLadder(List.of())).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new LatencyLadder.Step(0, 1, 0, 1)).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("0.0");
    assertThatThrownBy(() -> new LatencyLadder.Step(0, Double.NaN, 1, 1)).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("NaN");
  }

  @ParameterizedTest
  @CsvSource({"0.5, 0", "0.9, 1.28155", "0.99, 2.32635", "0.9999, 3.71902"})
  void shouldKnowTheNormalDistribution(double share, double quantile) {
    assertThat(Normal.quantile(share)).isCloseTo(quantile, within(5e-4));
  }
}
