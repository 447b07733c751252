package dev.coppice.api;

import java.time.Duration;
import java.util.Objects;

/**
 * Choices for the life of a classifier.
 *
 * @param threads that compute one run together, 1..64
 * @param closeLimit how long closing waits for a run in progress before it ends it, 0 to a day
 * @param metrics told of every run and refusal
 * @param trust whose bundles may be opened
 * @param engine how ONNX Runtime is set up
 */
public record OpenOptions(int threads, Duration closeLimit, MetricsListener metrics, Trust trust, EngineOptions engine) {

  private static final Duration LONGEST = Duration.ofDays(1);

  /** Checks the ranges. */
  public OpenOptions {
    Objects.requireNonNull(closeLimit, "closeLimit");
    Objects.requireNonNull(metrics, "metrics");
    Objects.requireNonNull(trust, "trust");
    Objects.requireNonNull(engine, "engine");
    if (threads < 1 || threads > 64) {
      throw new IllegalArgumentException("threads must be 1..64: " + threads);
    }
    if (closeLimit.isNegative() || closeLimit.compareTo(LONGEST) > 0) {
      throw new IllegalArgumentException("closeLimit must be 0 to a day: " + closeLimit);
    }
  }

  /**
   * As many threads as processors, at most 4: more seldom help a model this small; closing waits 10 s; nobody listens;
   * signatures are not looked at.
   */
  public static OpenOptions defaults() {
    int threads = Math.min(4, Runtime.getRuntime().availableProcessors());
    return new OpenOptions(threads, Duration.ofSeconds(10), MetricsListener.NONE, Trust.off(), EngineOptions.defaults());
  }

  /** The same with another thread count. */
  public OpenOptions withThreads(int newThreads) {
    return new OpenOptions(newThreads, closeLimit, metrics, trust, engine);
  }

  /** The same with another limit of closing. */
  public OpenOptions withCloseLimit(Duration newCloseLimit) {
    return new OpenOptions(threads, newCloseLimit, metrics, trust, engine);
  }

  /** The same with another listener. */
  public OpenOptions withMetrics(MetricsListener newMetrics) {
    return new OpenOptions(threads, closeLimit, newMetrics, trust, engine);
  }

  /** The same with others whose bundles may be opened. */
  public OpenOptions withTrust(Trust newTrust) {
    return new OpenOptions(threads, closeLimit, metrics, newTrust, engine);
  }

  /** The same with ONNX Runtime set up otherwise. */
  public OpenOptions withEngine(EngineOptions newEngine) {
    return new OpenOptions(threads, closeLimit, metrics, trust, newEngine);
  }
}
