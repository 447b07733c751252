package dev.coppice.schedule;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * The rungs worth choosing from, from the most accurate to the fastest.
 *
 * <p>Of two rungs the one that is neither faster nor more accurate is left out, so a step down always buys time.
 *
 * @param steps what is left, slowest first
 */
record LatencyLadder(List<Step> steps) {

  /**
   * One rung as measured at the reference clock.
   *
   * @param rung the caller's number of the rung
   * @param accuracy in percent; any measure that orders the rungs where none is known
   * @param meanNanos of a run
   * @param spreadNanos standard deviation of a run
   */
  record Step(int rung, double accuracy, double meanNanos, double spreadNanos) {
    Step {
      if (!(meanNanos > 0 && meanNanos < Double.POSITIVE_INFINITY) || !(spreadNanos >= 0 && spreadNanos < Double.POSITIVE_INFINITY)) {
        throw new IllegalArgumentException("a rung needs a finite mean above 0 and a spread of at least 0 nanoseconds: " + meanNanos + ", " + spreadNanos);
      }
      if (Double.isNaN(accuracy)) {
        throw new IllegalArgumentException("a rung needs an accuracy: NaN");
      }
    }
  }

  LatencyLadder {
    if (steps.isEmpty()) {
      throw new IllegalArgumentException("a ladder needs at least one rung: []");
    }
    List<Step> fastestFirst = new ArrayList<>(steps);
    fastestFirst.sort(Comparator.comparingDouble(Step::meanNanos).thenComparing(Comparator.comparingDouble(Step::accuracy).reversed()));
    List<Step> useful = new ArrayList<>();
    for (Step step : fastestFirst) {
      if (useful.isEmpty() || step.accuracy() > useful.get(0).accuracy()) {
        useful.add(0, step);
      }
    }
    steps = List.copyOf(useful);
  }
}
