package dev.coppice.api;

import java.util.Objects;

/** Work that was not begun because it could not have been done by its deadline. */
public final class DeadlineException extends CoppiceException {

  private static final long serialVersionUID = 1;

  /** A refusal; {@code fault} completes the code, as in {@code deadline.passed}. */
  public DeadlineException(String fault, String message) {
    super("deadline." + Objects.requireNonNull(fault, "fault"), message, null);
  }
}
