package dev.coppice.latency;

/**
 * What a sample says of a percentile, for independent measurements of any distribution.
 *
 * <p>Each measurement is above the true percentile with probability 1 - percentile / 100, so the number above it is binomial,
 * and order statistics bound the percentile with a known confidence. The rule for too many above a limit is that of MLPerf
 * LoadGen's early stopping (mlcommons/inference, {@code loadgen/early_stopping.cc}, tolerance 0).
 *
 * @param percentile above 0 and below 100
 * @param confidence of either bound alone, at least 0.5 and below 1
 */
public record PercentileBound(double percentile, double confidence) {

  /** Checks the ranges. */
  public PercentileBound {
    if (!(percentile > 0 && percentile < 100)) {
      throw new IllegalArgumentException("percentile must be above 0 and below 100: " + percentile);
    }
    if (!(confidence >= 0.5 && confidence < 1)) {
      throw new IllegalArgumentException("confidence must be at least 0.5 and below 1: " + confidence);
    }
  }

  /** How many of {@code samples} may lie above a limit for the percentile still to be within it; -1 if there are too few samples. */
  public long mostOver(long samples) {
    Weights weights = new Weights(samples, 1 - percentile / 100);
    double tail = (1 - confidence) * weights.total;
    double sum = 0;
    int i = 0;
    while (i < weights.of.length && (sum += weights.of[i]) <= tail) {
      i++;
    }
    return weights.first + i - 1;
  }

  /** How many of {@code samples} must lie above a limit for the percentile to be beyond it; more than there are if that cannot be said. */
  public long leastOver(long samples) {
    Weights weights = new Weights(samples, 1 - percentile / 100);
    double tail = (1 - confidence) * weights.total;
    double sum = 0;
    int i = weights.of.length;
    while (i > 0 && (sum += weights.of[i - 1]) <= tail) {
      i--;
    }
    return weights.first + i;
  }

  /** The fewest samples of which {@code over} may lie above a limit. */
  public long fewestSamples(long over) {
    long enough = over + 1;
    while (mostOver(enough) < over) {
      enough *= 2;
    }
    long few = enough / 2;
    while (enough - few > 1) {
      long middle = (few + enough) / 2;
      if (mostOver(middle) < over) {
        few = middle;
      } else {
        enough = middle;
      }
    }
    return enough;
  }

  /**
   * Binomial probabilities times a constant, for every count that matters: what lies 12 standard deviations off weighs less
   * than 1e-25. Neighbours follow from each other by their ratio, from the mode outwards, so that nothing underflows.
   */
  private static final class Weights {
    private final long first;
    private final double[] of;
    private final double total;

    private Weights(long trials, double probability) {
      if (trials < 0) {
        throw new IllegalArgumentException("samples must be at least 0: " + trials);
      }
      long mode = (long) (trials * probability);
      long reach = (long) (12 * Math.sqrt(trials * probability * (1 - probability))) + 60;
      first = Math.max(0, mode - reach);
      of = new double[(int) (Math.min(trials, mode + reach) - first) + 1];
      double odds = probability / (1 - probability);
      int middle = (int) (mode - first);
      of[middle] = 1;
      for (int i = middle; i + 1 < of.length; i++) {
        of[i + 1] = of[i] * (trials - first - i) / (first + i + 1) * odds;
      }
      for (int i = middle; i > 0; i--) {
        of[i - 1] = of[i] * (first + i) / (trials - first - i + 1) / odds;
      }
      double sum = 0;
      for (double weight : of) {
        sum += weight;
      }
      total = sum;
    }
  }
}
