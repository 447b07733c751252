package dev.coppice.latency;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.MathContext;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The bound against published numbers and against sums of binomial coefficients. */
final class PercentileBoundTest {

  /** 64, 459 and 662 are in MLPerf's inference rules; the rest was computed with another program. */
  @ParameterizedTest
  @CsvSource({"90, 44, 64, 197, 29", "95, 90, 130, 398, 59", "99, 459, 662, 2010, 299", "99.9, 4603, 6636, 20140, 2995"})
  void shouldNeedAsManySamplesAsPublished(double percentile, long none, long one, long ten, long noneAt95) {
    PercentileBound bound = new PercentileBound(percentile, 0.99);
    assertThat(new long[] {bound.fewestSamples(0), bound.fewestSamples(1), bound.fewestSamples(10)}).containsExactly(none, one, ten);
    assertThat(new PercentileBound(percentile, 0.95).fewestSamples(0)).isEqualTo(noneAt95);
  }

  @ParameterizedTest
  @CsvSource({"50, 0.99, 1", "50, 0.99, 100", "90, 0.99, 43", "90, 0.99, 44", "90, 0.998, 500", "99, 0.99, 661", "99, 0.99, 662", "99, 0.95, 2000", "10, 0.9, 37"})
  void shouldEqualSumsWithThirtyFourDigits(String percentile, String confidence, int samples) {
    PercentileBound bound = new PercentileBound(Double.parseDouble(percentile), Double.parseDouble(confidence));
    BigDecimal tail = BigDecimal.ONE.subtract(new BigDecimal(confidence));
    BigDecimal[] of = probabilities(samples, percentile);
    int most = -1;
    for (BigDecimal sum = of[0]; sum.compareTo(tail) <= 0; sum = sum.add(of[most + 1])) {
      most++;
    }
    int least = samples + 1;
    for (BigDecimal sum = of[samples]; sum.compareTo(tail) <= 0; sum = sum.add(of[least - 1])) {
      least--;
    }
    assertThat(bound.mostOver(samples)).isEqualTo(most);
    assertThat(bound.leastOver(samples)).isEqualTo(least);
  }

  /** That 0, 1, 2, ... of the samples lie above the percentile. */
  private static BigDecimal[] probabilities(int samples, String percentile) {
    BigDecimal below = new BigDecimal(percentile).movePointLeft(2);
    BigDecimal above = BigDecimal.ONE.subtract(below);
    BigDecimal[] of = new BigDecimal[samples + 1];
    BigInteger choose = BigInteger.ONE;
    for (int over = 0; over <= samples; over++) {
      of[over] = new BigDecimal(choose).multiply(above.pow(over, MathContext.DECIMAL128)).multiply(below.pow(samples - over, MathContext.DECIMAL128), MathContext.DECIMAL128);
      choose = choose.multiply(BigInteger.valueOf(samples - over)).divide(BigInteger.valueOf(over + 1));
    }
    return of;
  }

  @Test
  void shouldStayNearTheNormalApproximationForAMillionSamples() {
    PercentileBound bound = new PercentileBound(99, 0.99);
    double deviations = 2.326347874 * Math.sqrt(1e6 * 0.01 * 0.99); // 231.5; skewness moves the quantile by less than 1
    assertThat((double) bound.mostOver(1_000_000)).isBetween(10_000 - deviations - 2, 10_000 - deviations + 2);
    assertThat((double) bound.leastOver(1_000_000)).isBetween(10_000 + deviations - 2, 10_000 + deviations + 3);
  }

  @Test
  void shouldSayNothingWithoutSamples() {
    PercentileBound bound = new PercentileBound(90, 0.99);
    assertThat(bound.mostOver(0)).isEqualTo(-1);
    assertThat(bound.leastOver(0)).isEqualTo(1);
  }

  @ParameterizedTest
  @CsvSource({"0, 0.99, percentile", "100, 0.99, percentile", "NaN, 0.99, percentile", "99, 1, confidence", "99, 0.4, confidence", "99, NaN, confidence"})
  void shouldRefuseWhatIsNoPercentileOrConfidence(double percentile, double confidence, String named) {
    assertThatThrownBy(() -> new PercentileBound(percentile, confidence)).isInstanceOf(IllegalArgumentException.class).hasMessageStartingWith(named + " must be ");
  }
}
