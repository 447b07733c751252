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
  private static final int LONGEST = 2000;
  private static final int TAIL = 400; // what to do stands at the end

  private final String code;

  CoppiceException(String code, String message, @Nullable Throwable cause) {
    super(shown(Objects.requireNonNull(message, "message")), cause);
    this.code = Objects.requireNonNull(code, "code");
  }

  /** A message quotes what strangers wrote: control characters have powers on terminals, and a name could fill a log. */
  private static String shown(String message) {
    String text = message.replaceAll("\\s", " ").replaceAll("\\p{Cc}", "?");
    return text.length() <= LONGEST ? text : text.substring(0, LONGEST - TAIL - 1) + "…" + text.substring(text.length() - TAIL);
  }

  /** A short stable name of the fault, such as {@code bundle.changed}. */
  public final String code() {
    return code;
  }
}
