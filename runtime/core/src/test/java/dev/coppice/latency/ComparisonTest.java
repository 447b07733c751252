package dev.coppice.latency;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.time.Duration;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Two tasks in simulated time, on a machine that slows down under them. Nothing in it depends on the processor. */
@Tag("build-machine")
final class ComparisonTest {

  /** A takes 10 ms and B {@code factor} times that, each with its own noise, and all of it drifts to three times within the minute. */
  private static Comparison compare(long seed, double factor, int seconds) throws Exception {
    SimulatedHost host = new SimulatedHost();
    SplittableRandom random = new SplittableRandom(seed);
    long start = host.now;
    return Comparison.run(Duration.ofSeconds(seconds), () -> host.work(noisy(random, 1, host.now - start)), () -> host.work(noisy(random, factor, host.now - start)), host, rounds -> { });
  }

  private static long noisy(SplittableRandom random, double factor, long elapsed) {
    return Math.round(1e7 * factor * (1 + elapsed / 3e10) * Math.exp(0.1 * random.nextGaussian()));
  }

  @Test
  void shouldFindHowMuchLongerTheSecondTakes() throws Exception {
    Comparison found = compare(1, 1.05, 60);
    assertThat(found.low()).isGreaterThan(1);
    assertThat(found.ratio()).isBetween(found.low(), found.high());
    assertThat(found.high() - found.low()).isLessThan(0.04);
    assertThat(found.sentence()).endsWith(": slower.");
  }

  @Test
  void shouldHoldTheTrueRatioInNinetyFiveOfAHundredIntervals() throws Exception {
    long wrong = 0;
    for (int seed = 0; seed < 400; seed++) {
      Comparison found = compare(seed, 1.1, 10);
      wrong += found.low() > 1.1 || found.high() < 1.1 ? 1 : 0;
    }
    assertThat(wrong / 400.0).isBetween(0.001, 0.05 + 3 * Math.sqrt(0.05 * 0.95 / 400)); // three standard errors
  }

  @Test
  void shouldNotSayWhichIsFasterOfTwoThatAreAlike() throws Exception {
    assertThat(IntStream.range(0, 20).mapToObj(seed -> {
      try {
        return compare(seed, 1, 10).sentence();
      } catch (Exception e) {
        throw new AssertionError(e);
      }
    }).filter(sentence -> sentence.endsWith("no different as far as this tells.")).count()).isGreaterThanOrEqualTo(17);
  }

  @Test
  void shouldMakeEnoughRoundsForAnIntervalInNoTime() throws Exception {
    SimulatedHost host = new SimulatedHost();
    Comparison found = Comparison.run(Duration.ofNanos(1), () -> host.work(10), () -> host.work(10), host, rounds -> { });
    assertThat(found.rounds()).isEqualTo(6); // one half to the sixth power is less than 2.5 %
    assertThat(found.ratio()).isCloseTo(1, within(1e-9));
    assertThat(found.sentence()).contains("6 rounds A B B A");
  }
}
