package dev.coppice.api;

import java.time.Duration;
import java.util.Objects;

/**
 * What is asked of one image.
 *
 * @param deadline from submission to result, above 0 and at most a day
 * @param lane how urgent it is
 * @param minAccuracy in percent of the bundle's validation data: rungs below it are not run; 0 for any
 * @param top how many labels the result ranks, at least 1
 */
public record Request(Duration deadline, Lane lane, double minAccuracy, int top) {

  private static final Duration LONGEST = Duration.ofDays(1);

  /** Checks the ranges. */
  public Request {
    Objects.requireNonNull(deadline, "deadline");
    Objects.requireNonNull(lane, "lane");
    if (deadline.isNegative() || deadline.isZero() || deadline.compareTo(LONGEST) > 0) {
      throw new IllegalArgumentException("deadline must be above 0 and at most a day: " + deadline);
    }
    if (!(minAccuracy >= 0 && minAccuracy <= 100)) {
      throw new IllegalArgumentException("minAccuracy must be 0..100 percent: " + minAccuracy);
    }
    if (top < 1) {
      throw new IllegalArgumentException("top must be at least 1: " + top);
    }
  }

  /** Any accuracy, five labels, lane {@link Lane#NORMAL}. */
  public static Request within(Duration deadline) {
    return new Request(deadline, Lane.NORMAL, 0, 5);
  }

  /** The same in another lane. */
  public Request withLane(Lane newLane) {
    return new Request(deadline, newLane, minAccuracy, top);
  }

  /** The same with another least accuracy. */
  public Request withMinAccuracy(double newMinAccuracy) {
    return new Request(deadline, lane, newMinAccuracy, top);
  }

  /** The same with another number of labels. */
  public Request withTop(int newTop) {
    return new Request(deadline, lane, minAccuracy, newTop);
  }
}
