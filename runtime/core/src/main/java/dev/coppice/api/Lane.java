package dev.coppice.api;

/** How urgent work is: all of a lane goes before any of the next. */
public enum Lane {
  /** Somebody or something waits. */
  URGENT,
  /** What is asked of the service. */
  NORMAL,
  /** What may wait as long as there is other work. */
  BACKGROUND
}
