package dev.coppice.junit;

import dev.coppice.latency.Doubt;
import dev.coppice.latency.Durations;
import dev.coppice.latency.Finding;
import java.util.Optional;
import java.util.stream.LongStream;

/** The percentiles of a test's forks. */
final class Forks {

  private static final double SPREAD = 0.1;

  private final long[] percentiles;
  private int count;

  Forks(int forks) {
    percentiles = new long[forks];
  }

  /** Takes one more; after the last, whether they lie too far apart. */
  Optional<Finding> add(long percentileNanos) {
    percentiles[count++] = percentileNanos;
    long low = LongStream.of(percentiles).limit(count).min().orElseThrow();
    long high = LongStream.of(percentiles).limit(count).max().orElseThrow();
    return count < percentiles.length || high - low <= SPREAD * low ? Optional.empty()
        : Optional.of(new Finding(Doubt.SPREAD, "the forks lie from " + Durations.text(low) + " to " + Durations.text(high) + ", expected within 10 %: stop other work, or measure longer."));
  }
}
