package dev.coppice.api;

import java.util.Objects;

/** Work that found no place in the queue, or lost it to newer work. */
public final class OverloadException extends CoppiceException {

  private static final long serialVersionUID = 1;

  /** A refusal; {@code fault} completes the code, as in {@code overload.full}. */
  public OverloadException(String fault, String message) {
    super("overload." + Objects.requireNonNull(fault, "fault"), message, null);
  }
}
