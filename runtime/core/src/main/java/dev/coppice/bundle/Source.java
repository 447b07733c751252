package dev.coppice.bundle;

import dev.coppice.api.BundleException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;

/** Where the files of one bundle are. Nothing that it gives is trusted before it is hashed. */
interface Source {

  int MOST_FILES = 1000;

  /** The names of all files, relative and with slashes; refuses links, devices and more files than a bundle has. */
  Set<String> names();

  /** The bytes of a file of at most this size. */
  byte[] read(String name, long most);

  /** The same of a file that is no larger than this has room, from its position on. */
  void read(String name, ByteBuffer into);

  /** Where a file is, for messages. */
  Path place(String name);

  /** A folder, a link to one, or a tar of one. */
  static Source of(Path bundle) {
    if (Files.isDirectory(bundle)) {
      return new FolderSource(bundle);
    }
    if (Files.isRegularFile(bundle)) {
      return TarSource.open(bundle);
    }
    throw new BundleException("missing", bundle + ": no such bundle; give a folder that holds " + BundleFiles.MANIFEST + ", or a tar of one.");
  }

  /** A refusal of more files than a bundle has. */
  static BundleException tooMany(Path place) {
    return new BundleException("large", place + ": expected at most " + MOST_FILES + " files, found more; check that this is a bundle.");
  }
}
