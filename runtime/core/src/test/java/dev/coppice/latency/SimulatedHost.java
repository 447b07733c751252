package dev.coppice.latency;

/** Time that passes only when a task says so: minutes take milliseconds, and every number is foreseen. */
class SimulatedHost implements Host {

  long now = 1_000_000_000_000L;
  long compilationMillis;
  long collections;

  /** Work of so many nanoseconds. */
  void work(long nanos) {
    now += nanos;
  }

  @Override
  public long nanos() {
    return now;
  }

  @Override
  public void waitUntil(long nanos) {
    now = Math.max(now, nanos);
  }

  @Override
  public long compilationMillis() {
    return compilationMillis;
  }

  @Override
  public long allocatedBytes() {
    return 0;
  }

  @Override
  public long collections() {
    return collections;
  }
}
