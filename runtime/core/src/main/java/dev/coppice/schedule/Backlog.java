package dev.coppice.schedule;

/**
 * When a request that comes now would be done, from what goes before it. Told by the thread that runs, asked by those that submit.
 *
 * <p>Times come in as numbers, so a test can replay a trace. Allocates nothing.
 */
public final class Backlog {

  /**
   * A wait may turn out longer by this share: where one run in a hundred is held up for another run's time, a flood without a reserve lets in
   * 2 to 7 % of what it refuses, to be found too late at the head of the queue; with it less than 0.2 % (simulated, deadlines of 12 runs).
   */
  static final double RESERVE = 0.15;

  private volatile double leastNanos;
  private volatile long busyUntilNanos;

  /** leastNanos: the shortest time of a run. */
  public Backlog(double leastNanos, long nowNanos) {
    this.leastNanos = leastNanos;
    this.busyUntilNanos = nowNanos;
  }

  /** A request is looked at; a run takes at least so long now. */
  public void expect(double nanos) {
    leastNanos = nanos;
  }

  /** The shortest time of a run, in nanoseconds. */
  public double leastNanos() {
    return leastNanos;
  }

  /** Nothing, or nothing more, runs after this time. */
  public void busyUntil(long nanos) {
    busyUntilNanos = nanos;
  }

  /**
   * Nanoseconds until the end of a request that comes now, at the fastest rung; NaN if nothing goes before it, when only the controller can tell.
   *
   * @param ahead requests that would go before it
   */
  public double readyNanos(long nowNanos, int ahead) {
    double before = Math.max(0, busyUntilNanos - nowNanos) + leastNanos * ahead;
    return before > 0 ? (1 + RESERVE) * before + leastNanos : Double.NaN;
  }
}
