package dev.coppice.api;

import java.util.Objects;
import java.util.Optional;

/**
 * Choices for one run.
 *
 * @param keep the token budget; the bundle's default rung if empty
 * @param top how many labels the result ranks, at least 1; fewer if the model has fewer
 */
public record RunOptions(Optional<Keep> keep, int top) {

  private static final RunOptions DEFAULTS = new RunOptions(Optional.empty(), 5);

  /** Checks the range. */
  public RunOptions {
    Objects.requireNonNull(keep, "keep");
    if (top < 1) {
      throw new IllegalArgumentException("top must be at least 1: " + top);
    }
  }

  /** The bundle's default rung, five labels. */
  public static RunOptions defaults() {
    return DEFAULTS;
  }

  /** The same with another token budget. */
  public RunOptions withKeep(Keep newKeep) {
    return new RunOptions(Optional.of(Objects.requireNonNull(newKeep, "newKeep")), top);
  }

  /** The same with another number of labels. */
  public RunOptions withTop(int newTop) {
    return new RunOptions(keep, newTop);
  }
}
