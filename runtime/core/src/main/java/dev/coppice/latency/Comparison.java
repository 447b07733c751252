package dev.coppice.latency;

import java.time.Duration;
import java.util.Locale;
import java.util.Objects;
import java.util.function.LongConsumer;

/**
 * How much longer one task takes than another, measured side by side.
 *
 * <p>The two run in the order A B B A, so that whatever changes slowly meets both alike, and every four runs give one ratio.
 * The interval is that of order statistics around the median ratio, which is exact where a bootstrap would be an
 * approximation, with the same allowance for ratios that resemble their neighbours as in {@link Samples}.
 *
 * @param first median of A in nanoseconds
 * @param second median of B in nanoseconds
 * @param ratio median of (B + B) / (A + A)
 * @param low end of its 95 % confidence interval
 * @param high end of it
 * @param rounds of four runs
 */
public record Comparison(double first, double second, double ratio, double low, double high, int rounds) {

  private static final double UNIT = 1e9; // ratios are kept as whole billionths
  private static final PercentileBound MEDIAN = new PercentileBound(50, 0.975); // 2.5 % on either side
  private static final long FEWEST = MEDIAN.fewestSamples(0);
  private static final int MOST = 100_000;

  /** Compares for this long, and at least as many rounds as an interval needs. */
  public static Comparison run(Duration duration, Measurement.Task first, Measurement.Task second, LongConsumer progress) throws Exception {
    return run(duration, first, second, Host.SYSTEM, progress);
  }

  static Comparison run(Duration duration, Measurement.Task first, Measurement.Task second, Host host, LongConsumer progress) throws Exception {
    Objects.requireNonNull(first, "first");
    Objects.requireNonNull(second, "second");
    Objects.requireNonNull(progress, "progress");
    long end = host.nanos() + Objects.requireNonNull(duration, "duration").toNanos();
    long[] ratios = new long[MOST];
    long[] a = new long[2 * MOST];
    long[] b = new long[2 * MOST];
    int warm = (int) FEWEST;
    int rounds = 0;
    for (int round = -warm; round < MOST && (host.nanos() < end || tooFew(ratios, rounds)); round++) {
      int i = 2 * Math.max(round, 0);
      a[i] = time(first, host);
      b[i] = time(second, host);
      b[i + 1] = time(second, host);
      a[i + 1] = time(first, host);
      if (round >= 0) {
        ratios[rounds++] = Math.round(UNIT * (b[i] + b[i + 1]) / (a[i] + a[i + 1]));
        progress.accept(rounds);
      }
    }
    Samples samples = new Samples(ratios, rounds);
    return new Comparison(new Samples(a, 2 * rounds).percentile(50), new Samples(b, 2 * rounds).percentile(50), samples.percentile(50) / UNIT,
        samples.lower(MEDIAN).orElseThrow() / UNIT, samples.upper(MEDIAN).orElseThrow() / UNIT, rounds);
  }

  /** Asked only where few have been made, so that it costs nothing later. */
  private static boolean tooFew(long[] ratios, int rounds) {
    return rounds < FEWEST || new Samples(ratios, rounds).effectiveCount(50) < FEWEST;
  }

  private static long time(Measurement.Task task, Host host) throws Exception {
    long start = host.nanos();
    task.run();
    return Math.max(1, host.nanos() - start);
  }

  /** The ratio with its interval, in one sentence. */
  public String sentence() {
    String verdict = low > 1 ? "slower" : high < 1 ? "faster" : "no different as far as this tells";
    return String.format(Locale.ROOT, "The second takes %.3f times as long as the first, with 95 %% confidence %.3f to %.3f (%d rounds A B B A; medians %s and %s): %s.", ratio, low, high, rounds,
        Durations.text(first), Durations.text(second), verdict);
  }
}
