package dev.coppice.latency;

/** What a measurement says of a limit. */
public enum Verdict {
  /** The upper bound of the percentile is within the limit. */
  PASS,
  /** The lower bound of the percentile is beyond the limit. */
  FAIL,
  /** The limit lies between the bounds: more samples would tell. */
  INCONCLUSIVE,
  /** Something happened that makes the samples say nothing of the model. */
  INVALID
}
