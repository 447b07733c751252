package dev.coppice.api;

import java.nio.file.Path;
import java.util.List;

/**
 * Installed bundles in one folder: {@code NAME/versions/VERSION-DIGEST/} and a link {@code NAME/current}.
 *
 * <p>A version's folder appears complete or not at all, and is never changed; the link is replaced in one step. So whoever
 * opens {@code current} gets the old or the new version at every instant, also after a power cut, and rolling back is
 * setting the link again. Processes that change the same bundle take turns.
 */
public interface BundleStore {

  /**
   * Copies a bundle in from a folder or the tar of one, verifies the copy, runs its golden cases on this machine, and makes it current. What is not
   * finished leaves no trace that counts: the next installation removes it.
   *
   * @throws BundleException if the bundle is missing, changed, older than the current one, not signed by whom the store
   *     trusts, or computes something else here
   * @throws NativeException if the store cannot be written
   */
  InstalledBundle install(Path source, InstallOption... options);

  /**
   * Makes the version that was current before the present one current again.
   *
   * @throws BundleException if there is none, or it has been damaged
   * @throws NativeException if the store cannot be read or written
   */
  InstalledBundle rollback(String name);

  /**
   * The folder to open; a link that follows installations and rollbacks.
   *
   * @throws BundleException if no bundle of this name is installed
   */
  Path current(String name);

  /**
   * Every version of every bundle, by name, oldest installation first.
   *
   * @throws NativeException if the store cannot be read
   */
  List<InstalledBundle> list();

  /**
   * Deletes the versions that are neither current nor previous.
   *
   * @return how many
   * @throws NativeException if the store cannot be read or written; what is deleted by then stays so
   */
  int collect(String name);
}
