package dev.coppice.api;

/**
 * Choices for the life of a classifier.
 *
 * @param threads that compute one run together, 1..64
 */
public record OpenOptions(int threads) {

  /** Checks the range. */
  public OpenOptions {
    if (threads < 1 || threads > 64) {
      throw new IllegalArgumentException("threads must be 1..64: " + threads);
    }
  }

  /** As many threads as processors, at most 4: more seldom help a model this small. */
  public static OpenOptions defaults() {
    return new OpenOptions(Math.min(4, Runtime.getRuntime().availableProcessors()));
  }

  /** The same with another thread count. */
  public OpenOptions withThreads(int newThreads) {
    return new OpenOptions(newThreads);
  }
}
