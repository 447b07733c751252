package dev.coppice.latency;

import java.time.Duration;

/** How long to measure. */
public enum Preset {
  /** 60 seconds. */
  QUICK(60, 60),
  /** 60 seconds, and up to 600 as long as there is no verdict. */
  STANDARD(60, 600),
  /** 600 seconds, as MLPerf Inference asks. */
  MLPERF(600, 600);

  private final Duration min;
  private final Duration max;

  Preset(int minSeconds, int maxSeconds) {
    min = Duration.ofSeconds(minSeconds);
    max = Duration.ofSeconds(maxSeconds);
  }

  /** Least time of the samples. */
  public Duration minDuration() {
    return min;
  }

  /** Longest time of the samples. */
  public Duration maxDuration() {
    return max;
  }
}
