package dev.coppice.latency;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.function.Function;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Verdicts on simulated latencies whose true percentile is known. Millions of draws take minutes under emulation. */
@Tag("build-machine")
final class SamplesTest {

  private static final double NORMAL_99 = 2.3263478740408408;
  private static final double SPREAD = 0.2; // of the logarithm: p99 is 1.6 medians
  private static final PercentileBound BOUND = new PercentileBound(99, 0.99);
  private static final long LIMIT = 40_000_000;

  /** Log-normal latencies of which 1 % are truly above {@code percentile99}; neighbours share {@code memory} of their logarithm. */
  private static Samples latencies(SplittableRandom random, int count, double percentile99, double memory) {
    long[] nanos = new long[count];
    double state = random.nextGaussian();
    for (int i = 0; i < count; i++) {
      state = memory * state + Math.sqrt(1 - memory * memory) * random.nextGaussian();
      nanos[i] = Math.round(percentile99 * Math.exp(SPREAD * (state - NORMAL_99)));
    }
    return new Samples(nanos, count);
  }

  private static double share(int runs, Function<SplittableRandom, Verdict> run, Verdict verdict) {
    SplittableRandom seeds = new SplittableRandom(20261121);
    return LongStream.range(0, runs).filter(i -> run.apply(seeds.split()) == verdict).count() / (double) runs;
  }

  @Test
  void shouldPassWronglyInAtMostOnePercentOfTenThousandRunsAtTheBound() {
    // One nanosecond beyond the limit: a pass is wrong. Of 1,000 samples 2 may be above, which is so in 0.27 % of the runs; 3 would be in 1.01 %.
    double wrong = share(10_000, random -> latencies(random, 1000, LIMIT + 1.0, 0).verdict(BOUND, LIMIT), Verdict.PASS);
    assertThat(wrong).isBetween(0.001, 0.01);
  }

  @Test
  void shouldFailWronglyInAtMostOnePercentOfTenThousandRunsAtTheBound() {
    assertThat(share(10_000, random -> latencies(random, 1000, LIMIT, 0).verdict(BOUND, LIMIT), Verdict.FAIL)).isBetween(0.001, 0.01);
  }

  @Test
  void shouldPassTenPercentBelowTheLimitWithFiveThousandSamples() {
    assertThat(share(400, random -> latencies(random, 5000, 0.9 * LIMIT, 0).verdict(BOUND, LIMIT), Verdict.PASS)).isGreaterThanOrEqualTo(0.95);
  }

  @Test
  void shouldFailTenPercentBeyondTheLimitWithFiveThousandSamples() {
    assertThat(share(400, random -> latencies(random, 5000, 1.1 * LIMIT, 0).verdict(BOUND, LIMIT), Verdict.FAIL)).isGreaterThanOrEqualTo(0.95);
  }

  @Test
  void shouldNotBeFooledByNeighboursThatAreAlike() {
    Function<SplittableRandom, Verdict> corrected = random -> latencies(random, 2000, LIMIT + 1.0, 0.8).verdict(BOUND, LIMIT);
    Function<SplittableRandom, Verdict> naive = random -> latencies(random, 2000, LIMIT + 1.0, 0.8).over(LIMIT) <= BOUND.mostOver(2000) ? Verdict.PASS : Verdict.FAIL;
    assertThat(share(2000, corrected, Verdict.PASS)).isLessThanOrEqualTo(0.01);
    assertThat(share(2000, naive, Verdict.PASS)).as("without the correction").isGreaterThan(0.03);
  }

  @ParameterizedTest
  @CsvSource({"0, 5000", "0.5, 1667", "0.9, 263"})
  void shouldCountSamplesThatAreAlikeAsFewer(double memory, int effective) {
    // In logarithms the autocorrelation is the memory; 4 % of spread leave the exponential almost linear. Its standard error is below 1 / sqrt(5000).
    SplittableRandom random = new SplittableRandom(7);
    long[] nanos = new long[5000];
    double state = 0;
    for (int i = 0; i < nanos.length; i++) {
      state = memory * state + Math.sqrt(1 - memory * memory) * random.nextGaussian();
      nanos[i] = Math.round(1e7 + 4e5 * state);
    }
    double slack = 3 / Math.sqrt(5000);
    double r = memory + slack;
    assertThat(new Samples(nanos, 5000).effectiveCount(50)).isBetween((long) (5000 * (1 - r) / (1 + r)) - 1, Math.min(5000, effective + (long) (2 * 5000 * slack)));
  }

  @Test
  void shouldSeeBurstsBeyondThePercentileThatTheWholeHides() {
    // Every other sample is slow, so the whole is anticorrelated; the slowest of all come ten in a row.
    long[] nanos = LongStream.range(0, 2000).map(i -> i % 500 < 10 ? 25_000_000 : i % 2 == 0 ? 10_000_000 : 20_000_000).toArray();
    assertThat(new Samples(nanos, 2000).autocorrelation(97)).isCloseTo(0.9, within(0.02));
  }

  @Test
  void shouldTellOrderStatistics() {
    Samples samples = new Samples(LongStream.rangeClosed(1, 100).map(i -> 101 - i).toArray(), 100);
    assertThat(new long[] {samples.percentile(50), samples.percentile(90), samples.percentile(99), samples.percentile(99.9), samples.max()}).containsExactly(50, 90, 99, 100, 100);
    assertThat(samples.mean()).isEqualTo(50.5);
    assertThat(new long[] {samples.over(0), samples.over(99), samples.over(100)}).containsExactly(100, 1, 0);
  }

  @Test
  void shouldBoundThePercentileOfEqualSamples() {
    long[] nanos = new long[44];
    Arrays.fill(nanos, 5);
    PercentileBound p90 = new PercentileBound(90, 0.99);
    assertThat(new Samples(nanos, 44).upper(p90)).hasValue(5);
    assertThat(new Samples(nanos, 44).verdict(p90, 5)).isEqualTo(Verdict.PASS);
    assertThat(new Samples(nanos, 44).verdict(p90, 4)).isEqualTo(Verdict.FAIL);
    assertThat(new Samples(nanos, 43).upper(p90)).isEmpty();
    assertThat(new Samples(nanos, 43).verdict(p90, 5)).isEqualTo(Verdict.INCONCLUSIVE);
  }

  @ParameterizedTest
  @CsvSource({"0", "3"})
  void shouldRefuseMoreSamplesThanThereAre(int count) {
    assertThatThrownBy(() -> new Samples(new long[2], count)).isInstanceOf(IllegalArgumentException.class).hasMessage("count must be 1..2: " + count);
  }
}
