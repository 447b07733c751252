package dev.coppice.api;

import java.nio.file.Path;
import java.util.Objects;

/**
 * One version of a bundle in a {@link BundleStore}.
 *
 * @param name of the model
 * @param version SemVer
 * @param folder where it is; never changed once it is there
 * @param current whether it is what {@link BundleStore#current} gives
 * @param previous whether it is what {@link BundleStore#rollback} goes back to
 */
public record InstalledBundle(String name, String version, Path folder, boolean current, boolean previous) {

  /** Checks that nothing is missing. */
  public InstalledBundle {
    Objects.requireNonNull(name, "name");
    Objects.requireNonNull(version, "version");
    Objects.requireNonNull(folder, "folder");
  }
}
