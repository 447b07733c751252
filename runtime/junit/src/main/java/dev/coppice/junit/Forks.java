package dev.coppice.junit;

import dev.coppice.latency.Doubt;
import dev.coppice.latency.Durations;
import dev.coppice.latency.Finding;
import dev.coppice.latency.Outcome;
import java.util.Optional;
import java.util.stream.LongStream;

/** The first of a test's forks, and the percentiles of all. */
final class Forks {

  private static final double SPREAD = 0.1;

  private final long[] percentiles;
  private int count;
  private Outcome first; // null before there is one

  Forks(int forks) {
    percentiles = new long[forks];
  }

  /** What the first fork found, for the others to begin as it did. */
  Optional<Outcome> first() {
    return Optional.ofNullable(first);
  }

  /** Takes one more; after the last, whether they lie too far apart. */
  Optional<Finding> add(Outcome measured) {
    if (first == null) {
      first = measured;
    }
    percentiles[count++] = measured.samples().percentile(measured.plan().percentile());
    long low = LongStream.of(percentiles).limit(count).min().orElseThrow();
    long high = LongStream.of(percentiles).limit(count).max().orElseThrow();
    return count < percentiles.length || high - low <= SPREAD * low ? Optional.empty()
        : Optional.of(new Finding(Doubt.SPREAD, "the forks lie from " + Durations.text(low) + " to " + Durations.text(high) + ", expected within 10 %: stop other work, or measure longer."));
  }
}
