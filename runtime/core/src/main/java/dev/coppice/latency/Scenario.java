package dev.coppice.latency;

/** How runs follow each other; the names and meanings are MLPerf Inference's. */
public enum Scenario {
  /** The next run starts when the last is done. Its times are service times: nobody waits in a closed loop, so a stall is one slow sample. */
  SINGLE_STREAM("service time, closed loop"),
  /** Requests come at random (Poisson) at a given rate, and their time counts from when they should have started. */
  SERVER("response time from the intended start, open loop"),
  /** All work is there at once; what counts is how much of it is done in a second. */
  OFFLINE("throughput, service time of each run beside it");

  private final String meaning;

  Scenario(String meaning) {
    this.meaning = meaning;
  }

  /** What its numbers are, for reports. */
  public String meaning() {
    return meaning;
  }
}
