package dev.coppice.latency;

import java.util.Arrays;
import java.util.Objects;
import java.util.OptionalLong;

/**
 * Measured nanoseconds in the order of measurement, and what they say of percentiles.
 *
 * <p>One measurement resembles the next: a run during a burst of other work is followed by another such. The bounds therefore
 * count only as many samples as independent ones would be worth, n (1 - r) / (1 + r) with the lag-1 autocorrelation r, the
 * variance of a mean under first-order dependence.
 */
public final class Samples {

  private final long[] inOrder;
  private final long[] sorted;

  /** Copies the first {@code count} nanoseconds. */
  public Samples(long[] nanos, int count) {
    if (count < 1 || count > Objects.requireNonNull(nanos, "nanos").length) {
      throw new IllegalArgumentException("count must be 1.." + nanos.length + ": " + count);
    }
    inOrder = Arrays.copyOf(nanos, count);
    sorted = inOrder.clone();
    Arrays.sort(sorted);
  }

  /** How many there are. */
  public int count() {
    return sorted.length;
  }

  /** A copy in the order of measurement. */
  public long[] nanos() {
    return inOrder.clone();
  }

  /** The mean in nanoseconds. */
  public double mean() {
    return Arrays.stream(inOrder).average().orElseThrow();
  }

  /** The largest in nanoseconds. */
  public long max() {
    return sorted[sorted.length - 1];
  }

  /** The smallest sample that {@code percentile} percent of the samples do not exceed. */
  public long percentile(double percentile) {
    return sorted[Math.max(0, (int) Math.ceil(percentile / 100 * sorted.length - 1e-9) - 1)];
  }

  /** How many are above a limit. */
  public long over(long limitNanos) {
    int low = 0;
    int high = sorted.length;
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (sorted[middle] > limitNanos) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return sorted.length - low;
  }

  /**
   * Lag-1 autocorrelation as far as it matters to a percentile: that of the nanoseconds, or of being above the percentile,
   * whichever is larger. 0 for samples that are all equal.
   */
  public double autocorrelation(double percentile) {
    long threshold = percentile(percentile);
    double mean = mean();
    double share = over(threshold) / (double) sorted.length;
    double[] square = new double[2];
    double[] product = new double[2];
    double[] before = new double[2];
    for (long nanos : inOrder) {
      double[] now = {nanos - mean, (nanos > threshold ? 1 : 0) - share};
      for (int i = 0; i < 2; i++) {
        square[i] += now[i] * now[i];
        product[i] += now[i] * before[i];
      }
      before = now;
    }
    return Math.max(square[0] == 0 ? 0 : product[0] / square[0], square[1] == 0 ? 0 : product[1] / square[1]);
  }

  /** How many independent samples these are worth for a percentile, at least 1. */
  public long effectiveCount(double percentile) {
    double r = Math.max(0, autocorrelation(percentile));
    return Math.max(1, (long) (sorted.length * (1 - r) / (1 + r)));
  }

  /** No smaller than the true percentile with the bound's confidence; empty with too few samples. */
  public OptionalLong upper(PercentileBound bound) {
    long effective = effectiveCount(Objects.requireNonNull(bound, "bound").percentile());
    long over = bound.mostOver(effective);
    // Of n samples as many percent may be above as of the effective number.
    return over < 0 ? OptionalLong.empty() : OptionalLong.of(sorted[sorted.length - 1 - (int) (over * sorted.length / effective)]);
  }

  /** No larger than the true percentile with the bound's confidence; empty with too few samples. */
  public OptionalLong lower(PercentileBound bound) {
    long effective = effectiveCount(Objects.requireNonNull(bound, "bound").percentile());
    long over = bound.leastOver(effective);
    long ofAll = (over * sorted.length + effective - 1) / effective;
    return over > effective ? OptionalLong.empty() : OptionalLong.of(sorted[sorted.length - (int) ofAll]);
  }

  /** PASS, FAIL or INCONCLUSIVE. */
  public Verdict verdict(PercentileBound bound, long limitNanos) {
    OptionalLong upper = upper(bound);
    if (upper.isPresent() && upper.getAsLong() <= limitNanos) {
      return Verdict.PASS;
    }
    OptionalLong lower = lower(bound);
    return lower.isPresent() && lower.getAsLong() > limitNanos ? Verdict.FAIL : Verdict.INCONCLUSIVE;
  }
}
