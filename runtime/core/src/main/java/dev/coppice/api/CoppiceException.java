package dev.coppice.api;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Something outside the caller's control went wrong. The message is one sentence: what, where, expected against found,
 * what to do. {@link #code()} is stable across versions, for programs.
 */
public abstract sealed class CoppiceException extends RuntimeException
    permits BundleException, DeadlineException, ImageException, NativeException, OverloadException {

  private static final long serialVersionUID = 1;

  private final String code;

  CoppiceException(String code, String message, @Nullable Throwable cause) {
    super(Objects.requireNonNull(message, "message"), cause);
    this.code = Objects.requireNonNull(code, "code");
  }

  /** A short stable name of the fault, such as {@code bundle.changed}. */
  public final String code() {
    return code;
  }
}
