package dev.coppice.ops;

import java.io.IOException;
import java.io.InputStream;
import java.net.JarURLConnection;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Optional;
import java.util.jar.JarEntry;

/** A library as it lies in a jar. */
record PackedLibrary(JarURLConnection connection, JarEntry entry) {

  /** The resource of this name; empty if there is none, or if it lies in no jar. */
  static Optional<PackedLibrary> find(String resource) throws IOException {
    // The class loader's, not a class's own: on the module path libraries lie in other modules.
    URL url = PackedLibrary.class.getClassLoader().getResource(resource);
    if (url == null || !(url.openConnection() instanceof JarURLConnection connection)) {
      return Optional.empty();
    }
    return Optional.of(new PackedLibrary(connection, connection.getJarEntry()));
  }

  InputStream open() throws IOException {
    return connection.getInputStream();
  }

  /** Whether a file in a private folder holds it whole, by size and the sum that the jar has of it. */
  boolean isIn(Path file) throws IOException {
    return Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS) && Files.size(file) == entry.getSize() && PrivateFolder.sum(file) == entry.getCrc();
  }
}
