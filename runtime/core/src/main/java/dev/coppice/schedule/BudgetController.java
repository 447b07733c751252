package dev.coppice.schedule;

/**
 * Chooses, for one run, the most accurate rung that is predicted to be done before its deadline.
 *
 * <p>Down at once; up after {@value #GOOD_RUNS} runs that all would have had room for a dearer rung, and {@value #UP_NANOS} ns
 * after the last change; both by as many rungs as it takes. A fall while the slow-down was not yet known well is taken back
 * after {@value #UNSETTLED_RUNS} such runs: waiting longer lost half a point of accuracy under load that changes every two
 * seconds (simulated). A rung that had to be left again soon, on a machine no slower than when it was taken, is waited for
 * twice as long, up to {@value #MOST_UP_NANOS} ns: a fixed reserve instead would lose the rung wherever it just fits.
 *
 * <p>Close to the temperature at which the firmware cuts the clock the dear rungs are closed, so that the power falls before
 * the clock does. Times come in as numbers, so a test can replay a trace. Allocates nothing. Not safe for use by two threads.
 */
public final class BudgetController {

  /** What {@link #choose} gives where no rung would be done in time. */
  public static final int NONE = -1;

  static final int GOOD_RUNS = 8;
  static final int UNSETTLED_RUNS = 2;
  static final long UP_NANOS = 250_000_000;
  static final long MOST_UP_NANOS = 4_000_000_000L;

  /** Leaving a rung within so many of its waiting times is soon. */
  private static final int SOON = 4;

  /** So much slower is another machine. */
  private static final double SLOWER = 1.15;

  /** Without a run for so long the factor is uncertain: the fastest rung runs even if it is predicted late. */
  private static final long PROBE_NANOS = 500_000_000;

  /** Kelvin below the throttle point at which the dearest rung closes. */
  private static final double HEAT_BAND = 5;

  private final LatencyLadder.Step[] steps;
  private final double quantile;
  private final double throttleCelsius;
  private final SlowdownFilter slowdown = new SlowdownFilter();

  private int ceiling;
  private int goodRuns;
  private int dearest; // that all good runs would have had room for
  private boolean fellUnsettled;
  private double climbedAt = Double.NaN; // slow-down at the last change, if that was a climb
  private long upNanos = UP_NANOS;
  private long changedNanos;
  private long observedNanos;
  private double predictedNanos = Double.NaN;
  private boolean started;

  /**
   * @param missQuantile standard normal quantile of the allowed share of late runs: 2.33 for 1 %
   * @param throttleCelsius where the firmware cuts the clock; NaN if unknown
   */
  BudgetController(LatencyLadder ladder, double missQuantile, double throttleCelsius) {
    if (!(missQuantile >= 0 && missQuantile <= 10)) {
      throw new IllegalArgumentException("missQuantile must be 0..10 standard deviations: " + missQuantile);
    }
    this.steps = ladder.steps().toArray(LatencyLadder.Step[]::new);
    this.quantile = missQuantile;
    this.throttleCelsius = throttleCelsius;
  }

  /** How many rungs it chooses from, slowest first: what it gives are places among these. */
  public int places() {
    return steps.length;
  }

  /** The caller's number of the rung at a place. */
  public int rung(int place) {
    return steps[place].rung();
  }

  /** Whether the temperature counts: without a throttle point nobody need read it. */
  public boolean mindsHeat() {
    return !Double.isNaN(throttleCelsius);
  }

  /** Whether this temperature closes the dearest rung. */
  public boolean closesRungs(double celsius) {
    return coolEnough(celsius) > 0;
  }

  /** The last place of at least this accuracy, or {@link #NONE}. */
  public int fastest(double minAccuracy) {
    int place = steps.length - 1;
    while (place >= 0 && steps[place].accuracy() < minAccuracy) {
      place--;
    }
    return place;
  }

  /**
   * The place to run now, or {@link #NONE}.
   *
   * @param nowNanos monotonic time
   * @param roomNanos from now to the deadline, less the work that goes before this run
   * @param clockRatio reference clock over the present one; anything but a positive number counts as 1
   * @param celsius temperature of the processor; NaN if unknown
   * @param fastest the last place that the caller accepts: {@code places() - 1} for any
   */
  public int choose(long nowNanos, long roomNanos, double clockRatio, double celsius, int fastest) {
    if (!started) {
      started = true;
      changedNanos = nowNanos;
      observedNanos = nowNanos;
    }
    int last = Math.min(fastest, steps.length - 1);
    int coolest = Math.min(coolEnough(celsius), last);
    int feasible = coolest;
    while (feasible <= last && predict(feasible, clockRatio) > roomNanos) {
      feasible++;
    }
    if (feasible > last) {
      // Down at once, so that the climb back is gradual; a caller that accepts only dear rungs changes nothing for others.
      moveTo(Math.max(ceiling, last), nowNanos);
      predictedNanos = least(last, clockRatio);
      if (predictedNanos <= roomNanos) {
        return last;
      }
      return nowNanos - observedNanos >= PROBE_NANOS ? probe(nowNanos, last) : NONE;
    }
    if (feasible >= ceiling) {
      moveTo(feasible, nowNanos);
    } else {
      dearest = goodRuns == 0 ? feasible : Math.max(dearest, feasible);
      boolean waited = ++goodRuns >= GOOD_RUNS && nowNanos - changedNanos >= upNanos;
      if (waited || fellUnsettled && goodRuns >= UNSETTLED_RUNS) {
        moveTo(dearest, nowNanos);
      }
    }
    int chosen = Math.min(Math.max(ceiling, feasible), last);
    predictedNanos = predict(chosen, clockRatio);
    return chosen;
  }

  private int probe(long nowNanos, int last) {
    slowdown.forget();
    observedNanos = nowNanos;
    return last;
  }

  private void moveTo(int place, long nowNanos) {
    goodRuns = 0;
    if (place == ceiling) {
      return;
    }
    if (place > ceiling && !Double.isNaN(climbedAt)) {
      boolean toNoAvail = nowNanos - changedNanos < SOON * upNanos && slowdown.factor() < SLOWER * climbedAt;
      upNanos = toNoAvail ? Math.min(2 * upNanos, MOST_UP_NANOS) : UP_NANOS;
    }
    fellUnsettled = place > ceiling && !slowdown.settled();
    climbedAt = place < ceiling ? slowdown.factor() : Double.NaN;
    ceiling = place;
    changedNanos = nowNanos;
  }

  /** The first place whose power the temperature allows. */
  private int coolEnough(double celsius) {
    double excess = celsius - (throttleCelsius - HEAT_BAND);
    if (!(excess > 0)) { // NaN is no reason to slow down
      return 0;
    }
    return (int) Math.min(steps.length - 1, Math.ceil(excess / HEAT_BAND * (steps.length - 1)));
  }

  /** The time that a run takes with the allowed certainty, in nanoseconds. */
  private double predict(int place, double clockRatio) {
    return bound(place, clockRatio, slowdown.factor());
  }

  /** The same if a step up that one run alone tells of was a pause of that run. */
  private double least(int place, double clockRatio) {
    return bound(place, clockRatio, slowdown.leastFactor());
  }

  private double bound(int place, double clockRatio, double factor) {
    LatencyLadder.Step step = steps[place];
    double sigma = Math.max(slowdown.sigma(), step.spreadNanos() / step.meanNanos());
    return step.meanNanos() * known(clockRatio) * factor * Math.exp(quantile * sigma);
  }

  private static double known(double clockRatio) {
    return clockRatio > 0 && clockRatio < Double.POSITIVE_INFINITY ? clockRatio : 1;
  }

  /** Tells how long a run took. */
  public void ran(int place, long nowNanos, long runNanos, double clockRatio) {
    slowdown.observe(runNanos / (steps[place].meanNanos() * known(clockRatio)));
    observedNanos = nowNanos;
  }

  /** The bound that the last choice was made by, for logs. */
  public double predictedNanos() {
    return predictedNanos;
  }

  /** How much slower than measured the machine is, the clock apart. */
  public double slowdown() {
    return slowdown.factor();
  }

  /** The shortest time in which any run can be expected to be done. */
  public double leastNanos(double clockRatio) {
    return least(steps.length - 1, clockRatio);
  }
}
