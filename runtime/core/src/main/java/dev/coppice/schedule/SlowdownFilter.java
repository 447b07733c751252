package dev.coppice.schedule;

/**
 * How much slower than measured the machine is at the moment: a Kalman filter on the logarithm of observed over expected
 * time, as noise is a share of the time.
 *
 * <p>The state is a random walk; the noise of single runs is learned. An innovation beyond three standard deviations is
 * taken for a step and followed at once (ALERT, USENIX ATC 2020, has the idea of one factor for all configurations); a step up
 * that no second run confirms was a pause, and is no reason to refuse work.
 * Allocates nothing. Not safe for use by two threads.
 */
final class SlowdownFilter {

  /** Variance that the state gains from one run to the next: half a percent of drift. */
  private static final double DRIFT = 2.5e-5;

  /** The least variance of single runs: 1 %, so that a quiet machine does not make every run a step. */
  private static final double LEAST_NOISE = 1e-4;

  private static final double STEP_SIGMAS = 3;

  /** Share of a new innovation in the learned noise: the last 20 runs or so count. */
  private static final double LEARNING = 0.05;

  private double state; // logarithm of the factor
  private double uncertainty = 0.01; // its variance: the ladder has just been measured, 10 % off at most
  private double noise = 4 * LEAST_NOISE;
  private double believed; // the state before the last run, if that run alone tells of a step up; else the state

  /** Observed over expected time of one run; a value that is no positive number is ignored. */
  void observe(double ratio) {
    if (!(ratio > 0 && ratio < Double.POSITIVE_INFINITY)) {
      return;
    }
    uncertainty += DRIFT;
    double innovation = Math.log(ratio) - state;
    double expected = uncertainty + noise;
    boolean step = innovation * innovation > STEP_SIGMAS * STEP_SIGMAS * expected;
    double before = state;
    if (step) {
      uncertainty += innovation * innovation;
    } else {
      noise = Math.max(LEAST_NOISE, noise + LEARNING * (innovation * innovation - expected));
    }
    double gain = uncertainty / (uncertainty + noise);
    state += gain * innovation;
    uncertainty *= 1 - gain;
    believed = step && innovation > 0 ? before : state;
  }

  /** 1 where runs take as long as measured, 2 where twice as long. */
  double factor() {
    return Math.exp(state);
  }

  /** The same, as long as only one run tells that it has grown: that may have been a pause of this run alone. */
  double leastFactor() {
    return Math.exp(believed);
  }

  /** Standard deviation of the next observation, as a share of it. */
  double sigma() {
    return Math.sqrt(uncertainty + noise);
  }

  /** Whether enough runs have been seen since the last step to know the factor better than one run tells it. */
  boolean settled() {
    return uncertainty <= noise / 2;
  }

  /** Goes back to knowing little, as after a long time without a run. */
  void forget() {
    uncertainty = Math.max(uncertainty, 0.25);
  }
}
