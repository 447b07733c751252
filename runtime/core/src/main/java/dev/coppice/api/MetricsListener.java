package dev.coppice.api;

/**
 * Told what a classifier or a scheduler does, for counters, gauges and histograms.
 *
 * <p>Every method has an empty default. They are called on the threads that do the work, by several at once, and allocate
 * nothing on the way: an implementation returns at once, and what it throws is logged the
 * first time and goes no further.
 */
public interface MetricsListener {

  /** Listens to nothing. */
  MetricsListener NONE = new MetricsListener() {};

  /** How many requests wait, after one came or went. */
  default void queued(int depth) {}

  /**
   * A run ended well.
   *
   * @param result with the rung, the counts and the nanoseconds of each arrow
   * @param queueNanos from submission to the beginning of the work
   * @param spareNanos from the result to the deadline, negative if it was late; {@link Long#MAX_VALUE} without a deadline
   * @param keepRatio patch tokens left after the last reduction over those that came in, above 0 and at most 1
   * @param celsius temperature of the processor; NaN where none is known, and for a classifier
   */
  default void ran(Result result, long queueNanos, long spareNanos, double keepRatio, double celsius) {}

  /** A request was not served, for the reason that {@link CoppiceException#code()} names. */
  default void refused(String code) {}
}
