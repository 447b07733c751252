package dev.coppice.latency;

import dev.coppice.api.DeviceState;
import dev.coppice.device.DeviceReader;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.function.LongConsumer;

/**
 * How long a model takes at each of many token budgets: a staircase, because matrix products work on whole tiles of rows.
 *
 * <p>A round visits every budget once, in an order of its own, so that heat and other work meet all of them alike. Of five runs
 * in a row the fastest is the time of a visit.
 *
 * @param points in the order of the budgets
 * @param rounds that were made, the first one, which warms up, not counted
 * @param findings what speaks against the times
 */
public record TokenCurve(List<Point> points, int rounds, List<Finding> findings) {

  private static final PercentileBound MEDIAN = new PercentileBound(50, 0.975); // 2.5 % on either side
  private static final int FEWEST = (int) MEDIAN.fewestSamples(0);
  private static final int MOST = 1000;
  private static final int IN_A_ROW = 5; // as coppice-export curve

  /**
   * The time at one budget.
   *
   * @param keep patch tokens left after each stage
   * @param millis median of the visits
   * @param low end of its 95 % confidence interval
   * @param high end of it
   */
  public record Point(List<Integer> keep, double millis, double low, double high) {

    /** Copies the counts. */
    public Point {
      keep = List.copyOf(Objects.requireNonNull(keep, "keep"));
    }
  }

  /** One run at a budget. */
  @FunctionalInterface
  public interface Runs {
    /** Runs with these patch tokens kept at each stage. */
    void run(List<Integer> keep) throws Exception;
  }

  /** Copies the lists. */
  public TokenCurve {
    points = List.copyOf(Objects.requireNonNull(points, "points"));
    findings = List.copyOf(Objects.requireNonNull(findings, "findings"));
  }

  /** Measures in rounds for this long, at least as many as an interval needs; {@code progress} hears the visits so far. */
  public static TokenCurve measure(List<List<Integer>> budgets, Duration duration, Runs runs, Path root, LongConsumer progress) throws Exception {
    return measure(budgets, duration, runs, root, Host.SYSTEM, progress);
  }

  static TokenCurve measure(List<List<Integer>> budgets, Duration duration, Runs runs, Path root, Host host, LongConsumer progress) throws Exception {
    Objects.requireNonNull(duration, "duration");
    Objects.requireNonNull(runs, "runs");
    Objects.requireNonNull(root, "root");
    Objects.requireNonNull(progress, "progress");
    long[][] nanos = new long[Objects.requireNonNull(budgets, "budgets").size()][FEWEST];
    List<Integer> order = new ArrayList<>();
    for (int i = 0; i < budgets.size(); i++) {
      order.add(i);
    }
    Random random = new Random(1);
    List<DeviceState> readings = new ArrayList<>();
    int rounds = -1;
    try (DeviceReader reader = new DeviceReader(root)) {
      long collections = host.collections();
      for (long end = host.nanos() + duration.toNanos(); rounds < FEWEST || rounds < MOST && host.nanos() < end; rounds++) {
        readings.add(reader.read());
        Collections.shuffle(order, random);
        for (int visit = 0; visit < order.size(); visit++) {
          int i = order.get(visit);
          long fastest = fastest(runs, budgets.get(i), host);
          if (rounds >= 0) {
            nanos[i] = rounds < nanos[i].length ? nanos[i] : Arrays.copyOf(nanos[i], 2 * rounds);
            nanos[i][rounds] = fastest;
          }
          progress.accept((rounds + 1L) * order.size() + visit + 1);
        }
      }
      readings.add(reader.read());
      List<Point> points = new ArrayList<>();
      for (int i = 0; i < nanos.length; i++) {
        points.add(point(budgets.get(i), new Samples(nanos[i], rounds)));
      }
      return new TokenCurve(points, rounds, Validity.findings(readings, host.collections() - collections, rounds * order.size()));
    }
  }

  /** Of some runs in a row: the first one makes the buffers of its budget, and other work seldom meets all of them. */
  private static long fastest(Runs runs, List<Integer> keep, Host host) throws Exception {
    long fastest = Long.MAX_VALUE;
    for (int run = 0; run < IN_A_ROW; run++) {
      long start = host.nanos();
      runs.run(keep);
      fastest = Math.min(fastest, host.nanos() - start);
    }
    return fastest;
  }

  /** Rounds too few or too much alike for a bound leave their extremes. */
  private static Point point(List<Integer> keep, Samples samples) {
    return new Point(keep, samples.percentile(50) / 1e6, samples.lower(MEDIAN).orElse(samples.percentile(0)) / 1e6, samples.upper(MEDIAN).orElse(samples.max()) / 1e6);
  }
}
