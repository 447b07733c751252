package dev.coppice.api;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** A picture that cannot be read. */
public final class ImageException extends CoppiceException {

  private static final long serialVersionUID = 1;

  /** A refusal of its own; {@code fault} completes the code, as in {@code image.missing}. */
  public ImageException(String fault, String message) {
    this(fault, message, null);
  }

  /** A refusal that another failure led to, if there is one. */
  public ImageException(String fault, String message, @Nullable Throwable cause) {
    super("image." + Objects.requireNonNull(fault, "fault"), message, cause);
  }
}
