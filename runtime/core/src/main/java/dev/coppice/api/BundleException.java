package dev.coppice.api;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** A bundle that is missing, damaged, or needs something this runtime does not have. */
public final class BundleException extends CoppiceException {

  private static final long serialVersionUID = 1;

  /** A refusal of its own; {@code fault} completes the code, as in {@code bundle.missing}. */
  public BundleException(String fault, String message) {
    this(fault, message, null);
  }

  /** A refusal that another failure led to, if there is one. */
  public BundleException(String fault, String message, @Nullable Throwable cause) {
    super("bundle." + Objects.requireNonNull(fault, "fault"), message, cause);
  }
}
