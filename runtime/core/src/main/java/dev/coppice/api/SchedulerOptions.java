package dev.coppice.api;

import java.util.Objects;

/**
 * Choices for the life of a scheduler.
 *
 * @param capacity requests that may wait, 1..10000
 * @param overflow what happens to a request that finds the queue full
 * @param missShare share of the runs that may be late, 0.0001..0.5
 * @param calibrationRuns runs of each rung that measure it before the first request, 3..1000
 * @param throttleCelsius temperature at which the board's firmware cuts the clock; NaN for that of the board's profile, if there
 *     is one
 */
public record SchedulerOptions(int capacity, Overflow overflow, double missShare, int calibrationRuns, double throttleCelsius) {

  /** What a full queue does. */
  public enum Overflow {
    /** Refuses the new request. */
    REFUSE,
    /** Drops the oldest request of the least urgent lane for it, as suits a camera; refuses if all are more urgent. */
    NEWEST_WINS
  }

  private static final SchedulerOptions DEFAULTS = new SchedulerOptions(16, Overflow.REFUSE, 0.01, 20, Double.NaN);

  /** Checks the ranges. */
  public SchedulerOptions {
    Objects.requireNonNull(overflow, "overflow");
    if (capacity < 1 || capacity > 10_000) {
      throw new IllegalArgumentException("capacity must be 1..10000: " + capacity);
    }
    if (!(missShare >= 0.0001 && missShare <= 0.5)) {
      throw new IllegalArgumentException("missShare must be 0.0001..0.5: " + missShare);
    }
    if (calibrationRuns < 3 || calibrationRuns > 1000) {
      throw new IllegalArgumentException("calibrationRuns must be 3..1000: " + calibrationRuns);
    }
    if (Double.isInfinite(throttleCelsius)) {
      throw new IllegalArgumentException("throttleCelsius must be a temperature or NaN: " + throttleCelsius);
    }
  }

  /** 16 waiting requests, refusal when full, 1 % late, 20 runs of each rung. */
  public static SchedulerOptions defaults() {
    return DEFAULTS;
  }

  /** One waiting frame, the newest: a camera. */
  public static SchedulerOptions camera() {
    return new SchedulerOptions(1, Overflow.NEWEST_WINS, DEFAULTS.missShare, DEFAULTS.calibrationRuns, DEFAULTS.throttleCelsius);
  }

  /** The same with another capacity. */
  public SchedulerOptions withCapacity(int newCapacity) {
    return new SchedulerOptions(newCapacity, overflow, missShare, calibrationRuns, throttleCelsius);
  }

  /** The same with another number of calibration runs. */
  public SchedulerOptions withCalibrationRuns(int newCalibrationRuns) {
    return new SchedulerOptions(capacity, overflow, missShare, newCalibrationRuns, throttleCelsius);
  }

  /** The same with another throttle point. */
  public SchedulerOptions withThrottleCelsius(double newThrottleCelsius) {
    return new SchedulerOptions(capacity, overflow, missShare, calibrationRuns, newThrottleCelsius);
  }
}
