package dev.coppice.api;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** The operator library or ONNX Runtime failed. */
public final class NativeException extends CoppiceException {

  private static final long serialVersionUID = 1;

  /** A refusal of its own; {@code fault} completes the code, as in {@code native.missing}. */
  public NativeException(String fault, String message) {
    this(fault, message, null);
  }

  /** A refusal that another failure led to, if there is one. */
  public NativeException(String fault, String message, @Nullable Throwable cause) {
    super("native." + Objects.requireNonNull(fault, "fault"), message, cause);
  }
}
