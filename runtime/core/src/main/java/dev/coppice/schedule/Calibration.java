package dev.coppice.schedule;

import dev.coppice.api.Rung;
import dev.coppice.engine.Engine;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Measures how long the rungs of a model take on this machine. */
public final class Calibration {

  /** A median absolute deviation of normal noise is so many standard deviations. */
  private static final double DEVIATIONS = 1.4826;

  private Calibration() {}

  /**
   * A controller for these rungs.
   *
   * <p>The rungs are measured in turn, so that what else goes on meets them all alike; of each the median counts, after a
   * quarter of its runs for warming up. Where no rung has a measured accuracy, their multiply-adds stand for it.
   *
   * @param rungs at least one, all with an accuracy or none
   * @param runs of each rung
   * @param missShare share of the runs that may be late
   * @param throttleCelsius NaN if unknown
   */
  public static BudgetController measure(Engine engine, List<Rung> rungs, int runs, double missShare, double throttleCelsius) {
    long[][] nanos = new long[rungs.size()][runs];
    int warm = (runs + 3) / 4;
    for (int run = -warm; run < runs; run++) {
      for (int rung = 0; rung < rungs.size(); rung++) {
        long start = System.nanoTime();
        engine.run(rungs.get(rung).keep());
        nanos[rung][Math.max(run, 0)] = System.nanoTime() - start;
      }
    }
    boolean measured = rungs.stream().allMatch(rung -> rung.top1().isPresent());
    List<LatencyLadder.Step> steps = new ArrayList<>();
    for (int rung = 0; rung < rungs.size(); rung++) {
      double median = median(nanos[rung]);
      double spread = DEVIATIONS * median(Arrays.stream(nanos[rung]).map(n -> Math.abs(n - (long) median)).toArray());
      double accuracy = measured ? rungs.get(rung).top1().getAsDouble() : rungs.get(rung).macs();
      steps.add(new LatencyLadder.Step(rung, accuracy, median, spread));
    }
    return new BudgetController(new LatencyLadder(steps), Normal.quantile(1 - missShare), throttleCelsius);
  }

  private static double median(long[] values) {
    long[] sorted = values.clone();
    Arrays.sort(sorted);
    int middle = sorted.length / 2;
    return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2.0;
  }
}
