package dev.coppice.api;

import java.time.Duration;

/**
 * Choices for the life of a classifier.
 *
 * @param threads that compute one run together, 1..64
 * @param closeLimit how long closing waits for a run in progress before it ends it, 0 to a day
 */
public record OpenOptions(int threads, Duration closeLimit) {

  private static final Duration LONGEST = Duration.ofDays(1);

  /** Checks the range. */
  public OpenOptions {
    if (threads < 1 || threads > 64) {
      throw new IllegalArgumentException("threads must be 1..64: " + threads);
    }
    if (closeLimit.isNegative() || closeLimit.compareTo(LONGEST) > 0) {
      throw new IllegalArgumentException("closeLimit must be 0 to a day: " + closeLimit);
    }
  }

  /** As many threads as processors, at most 4: more seldom help a model this small; closing waits 10 s. */
  public static OpenOptions defaults() {
    return new OpenOptions(Math.min(4, Runtime.getRuntime().availableProcessors()), Duration.ofSeconds(10));
  }

  /** The same with another thread count. */
  public OpenOptions withThreads(int newThreads) {
    return new OpenOptions(newThreads, closeLimit);
  }

  /** The same with another limit of closing. */
  public OpenOptions withCloseLimit(Duration newCloseLimit) {
    return new OpenOptions(threads, newCloseLimit);
  }
}
