package dev.coppice.cli;

import dev.coppice.api.BundleInfo;
import dev.coppice.api.Rung;
import dev.coppice.latency.Durations;
import dev.coppice.latency.TokenCurve;
import dev.coppice.latency.TokenCurve.Point;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;

/** A latency curve: time over patch tokens, with the interval of every point, and the bundle's rungs. */
final class CurveChart {

  static final int WIDTH = 860;
  static final int HEIGHT = 500;
  private static final int LEFT = 70;
  private static final int TOP = 84;
  private static final int RIGHT = WIDTH - 30;
  private static final int BOTTOM = HEIGHT - 60;
  private static final int TICKS = 8;
  private static final int INK = 0x222222;
  private static final int GREY = 0x777777;
  private static final int GRID = 0xdddddd;
  private static final int EVERYWHERE = 0x2166ac;
  private static final int LAST = 0xd6604d;
  private static final int RUNG = 0x222222;

  private final BundleInfo bundle;
  private final TokenCurve curve;
  private final String machine;
  private final int patches;
  private final double most;

  CurveChart(BundleInfo bundle, TokenCurve curve, String machine) {
    this.bundle = bundle;
    this.curve = curve;
    this.machine = machine;
    patches = bundle.grid() * bundle.grid();
    most = 1.05 * curve.points().stream().mapToDouble(Point::high).max().orElseThrow();
  }

  String title() {
    return "Time of a run of " + bundle.name() + " " + bundle.version() + " by its token budget";
  }

  void draw(Pen pen) {
    pen.text(LEFT, 26, title(), 17, INK, Pen.Anchor.START);
    pen.text(LEFT, 46, machine + "; median of " + curve.rounds() + " rounds and its 95 % interval", 12, GREY, Pen.Anchor.START);
    axes(pen);
    series(pen, "this many at every stage", EVERYWHERE, 0, keep -> keep.stream().distinct().count() == 1 ? Optional.of(keep.get(0)) : Optional.empty());
    if (bundle.stages() > 1) {
      int last = bundle.stages() - 1;
      series(pen, "all until the last stage, then this many", LAST, 1,
          keep -> keep.subList(0, last).stream().allMatch(count -> count == patches) ? Optional.of(keep.get(last)) : Optional.empty());
    }
    rungs(pen);
  }

  private void axes(Pen pen) {
    double step = step(most);
    for (int i = 0; i * step <= most; i++) {
      pen.line(new double[] {LEFT, RIGHT}, new double[] {y(i * step), y(i * step)}, GRID, 1);
      pen.text(LEFT - 8, y(i * step) + 4, String.format(Locale.ROOT, step < 1 ? "%.2f" : "%.0f", i * step), 12, INK, Pen.Anchor.END);
    }
    double tokens = step(patches);
    for (double count = 0; count <= patches; count += tokens) {
      pen.line(new double[] {x(count), x(count)}, new double[] {BOTTOM, BOTTOM + 5}, GREY, 1);
      pen.text(x(count), BOTTOM + 20, String.format(Locale.ROOT, "%.0f", count), 12, INK, Pen.Anchor.MIDDLE);
    }
    pen.line(new double[] {LEFT, LEFT, RIGHT}, new double[] {TOP, BOTTOM, BOTTOM}, GREY, 1);
    pen.text((LEFT + RIGHT) / 2.0, HEIGHT - 16, "patch tokens kept", 13, INK, Pen.Anchor.MIDDLE);
    pen.text(12, TOP - 10, "milliseconds", 13, INK, Pen.Anchor.START);
  }

  /** The distance of ticks: 1, 2 or 5 times a power of ten. */
  private static double step(double range) {
    double power = Math.pow(10, Math.floor(Math.log10(range / TICKS)));
    double digit = range / TICKS / power;
    return Math.max(power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10), 0.01);
  }

  private void series(Pen pen, String name, int rgb, int row, Function<List<Integer>, Optional<Integer>> count) {
    List<Point> points = curve.points().stream().filter(point -> count.apply(point.keep()).isPresent()).sorted((a, b) -> count.apply(a.keep()).get() - count.apply(b.keep()).get()).toList();
    double[] x = points.stream().mapToDouble(point -> x(count.apply(point.keep()).get())).toArray();
    int n = x.length;
    double[] low = heights(points, Point::low);
    double[] high = heights(points, Point::high);
    double[] around = new double[2 * n];
    double[] band = new double[2 * n];
    for (int i = 0; i < n; i++) {
      around[i] = x[i];
      band[i] = high[i];
      around[2 * n - 1 - i] = x[i];
      band[2 * n - 1 - i] = low[i];
    }
    pen.shade(around, band, rgb);
    pen.line(x, heights(points, Point::millis), rgb, 1.8);
    double left = LEFT + 130 + 230 * row;
    pen.line(new double[] {left, left + 24}, new double[] {TOP - 14, TOP - 14}, rgb, 3);
    pen.text(left + 32, TOP - 10, name, 12, INK, Pen.Anchor.START);
  }

  private double[] heights(List<Point> points, ToDoubleFunction<Point> millis) {
    return points.stream().mapToDouble(point -> y(millis.applyAsDouble(point))).toArray();
  }

  /** At the mean of their counts. */
  private void rungs(Pen pen) {
    for (Rung rung : bundle.ladder()) {
      curve.points().stream().filter(point -> point.keep().equals(rung.keep())).findFirst().ifPresent(point -> {
        double x = x(rung.keep().stream().mapToInt(Integer::intValue).average().orElseThrow());
        pen.dot(x, y(point.millis()), 4, RUNG);
        pen.text(x - 7, y(point.millis()) - 8, rung.name() + " " + Durations.text(1e6 * point.millis()), 12, RUNG, Pen.Anchor.END);
      });
    }
  }

  private double x(double count) {
    return LEFT + (RIGHT - LEFT) * count / patches;
  }

  private double y(double millis) {
    return BOTTOM - (BOTTOM - TOP) * millis / most;
  }
}
