package dev.coppice.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.DoubleUnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The controller on simulated traces: steady, throttle step, competing load, burst. */
final class TraceTest {

  private static final long PERIOD = 40_000_000;
  private static final double ONE_PERCENT = 2.33;

  private static BudgetController controller() {
    return new BudgetController(new LatencyLadder(Simulation.VIT_TINY), ONE_PERCENT, Double.NaN);
  }

  private static Simulation camera(DoubleUnaryOperator slowdown, boolean clock, long seed) {
    return new Simulation(Simulation.VIT_TINY, Simulation.camera(10_000, PERIOD, slowdown, clock), 0.03, PERIOD, seed);
  }

  /** Other programs take a third or more than half of the machine, for five seconds at a time on average. */
  private static DoubleUnaryOperator competitor(long seed) {
    Random random = new Random(seed);
    double[] until = {0};
    double[] slow = {1};
    return seconds -> {
      while (seconds >= until[0]) {
        until[0] += -5 * Math.log(1 - random.nextDouble());
        slow[0] = new double[] {1, 1.6, 2.4}[random.nextInt(3)];
      }
      return slow[0];
    };
  }

  @ParameterizedTest
  @ValueSource(doubles = {0.5, 1, 1.3, 1.7, 2, 3})
  void shouldMissAtMostOneInAHundredOnASteadyMachine(double slowdown) {
    Simulation simulation = camera(seconds -> slowdown, false, 1);
    Simulation.Outcome found = simulation.controlled(controller());
    assertThat(found.missRate()).isLessThanOrEqualTo(0.01);
    assertThat(found.accuracy()).isGreaterThanOrEqualTo(simulation.oracle().accuracy() - 1);
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void shouldBeLateForAtMostThreeFramesWhenTheMachineHalvesItsSpeed(boolean clock) {
    DoubleUnaryOperator step = seconds -> seconds < 20 ? 1 : 2;
    Simulation.Outcome found = new Simulation(Simulation.VIT_TINY, Simulation.camera(1_000, PERIOD, step, clock), 0, PERIOD, 2).controlled(controller());
    assertThat(found.late() + found.refused()).isLessThanOrEqualTo(clock ? 0 : 3);
  }

  @Test
  void shouldComeBackToFullQualityWithinTwoSeconds() {
    DoubleUnaryOperator dip = seconds -> seconds >= 10 && seconds < 20 ? 2 : 1;
    Simulation.Outcome found = new Simulation(Simulation.VIT_TINY, Simulation.camera(600, PERIOD, dip, false), 0.01, PERIOD, 3).controlled(controller());
    int after = (int) (22e9 / PERIOD);
    assertThat(found.places().subList(after, found.places().size())).containsOnly(0);
  }

  @Test
  void shouldChangeAtMostOnceASecondOnASteadyMachineWithNoise() {
    List<Integer> places = new Simulation(Simulation.VIT_TINY, Simulation.camera(10_000, PERIOD, seconds -> 1.35, false), 0.05, PERIOD, 4)
        .controlled(controller()).places();
    long changes = 0;
    for (int i = 1; i < places.size(); i++) {
      changes += places.get(i).equals(places.get(i - 1)) ? 0 : 1;
    }
    assertThat(changes / (places.size() * PERIOD / 1e9)).isLessThanOrEqualTo(1);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5})
  void shouldHalveTheMissesOfFixedRungsOfTheSameAccuracyUnderCompetingLoad(long seed) {
    Simulation simulation = camera(competitor(seed), false, seed);
    Simulation.Outcome found = simulation.controlled(controller());
    assertThat(found.missRate()).isLessThanOrEqualTo(0.01).isLessThanOrEqualTo(0.5 * simulation.fixedMissRate(found.accuracy()));
  }

  @Test
  void shouldBeWithinAPointOfAnOracleUnderCompetingLoad() {
    double lost = 0;
    for (long seed = 1; seed <= 5; seed++) {
      Simulation simulation = camera(competitor(seed), false, seed);
      lost += simulation.oracle().accuracy() - simulation.controlled(controller()).accuracy();
    }
    assertThat(lost / 5).isLessThanOrEqualTo(1);
  }

  @Test
  void shouldServeABurstWithFewerTokensInsteadOfLate() {
    List<Simulation.Frame> frames = new ArrayList<>();
    for (int burst = 0; burst < 500; burst++) {
      for (int i = 0; i < 5; i++) {
        frames.add(new Simulation.Frame(burst * 400_000_000L, 1, 1));
      }
    }
    Simulation simulation = new Simulation(Simulation.VIT_TINY, frames, 0.03, 110_000_000, 5);
    Simulation.Outcome found = simulation.controlled(controller());
    assertThat(found.missRate()).isLessThanOrEqualTo(0.5 * simulation.fixedMissRate(found.accuracy()));
  }

  /** A clock that heat halves for ten seconds, told by cpufreq or not, with 3 % noise. */
  @ParameterizedTest
  @CsvSource({"true, 1", "true, 2", "true, 3", "false, 1", "false, 2", "false, 3"})
  void shouldRideOutAClockThatIsHalvedAndComesBack(boolean clock, long seed) {
    DoubleUnaryOperator dip = seconds -> seconds >= 20 && seconds < 30 ? 2 : 1;
    int frames = (int) (60e9 / PERIOD);
    Simulation.Outcome found = new Simulation(Simulation.VIT_TINY, Simulation.camera(frames, PERIOD, dip, clock), 0.03, PERIOD, seed).controlled(controller());
    assertThat(found.late() + found.refused()).isLessThanOrEqualTo(3 + frames / 100); // three of the step, one in a hundred of the rest
    assertThat(found.places().subList((int) (32e9 / PERIOD), (int) (35e9 / PERIOD))).containsOnly(0);
    long changes = 0;
    for (int i = 1; i < frames; i++) {
      changes += found.places().get(i).equals(found.places().get(i - 1)) ? 0 : 1;
    }
    assertThat(changes).isLessThanOrEqualTo(60);
  }
}
