package dev.coppice.latency;

/** Why samples may say nothing of the model. Each makes a measurement {@link Verdict#INVALID} unless the plan allows it. */
public enum Doubt {
  /** The firmware or the kernel held the processor back: a new throttle bit of a Raspberry Pi, or a raised cooling state. */
  THROTTLING,
  /** The processor was still too hot to begin with after the longest time to cool down. */
  HEAT,
  /** The clock was below 95 % of that at the start for more than 1 % of the readings. */
  CLOCK,
  /** Another frequency governor than at the start. */
  GOVERNOR,
  /** Pages came back from swap. */
  SWAP,
  /** Other processes took more than 5 % of the processors. */
  LOAD,
  /** The garbage collector ran more often than in 1 % of the samples. */
  GARBAGE,
  /** Medians of successive windows never came within 2 % of each other, or the JVM never stopped compiling. */
  UNSTEADY,
  /** The percentiles of the forks lie more than 10 % apart. */
  SPREAD
}
