package dev.coppice.ops;

import dev.coppice.api.NativeException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Optional;

/**
 * Unpacks the operator library from the jar into a private folder.
 *
 * <p>A file that another user could have put there is never loaded: the folder must be the user's own with mode 0700, the file's name holds its
 * hash, which is checked when it is written, and an existing file must have the sum that the jar has of it. Two JVMs may start at once: each
 * writes a file of its own and renames it.
 */
final class Extraction {

  private static final String ROOT = "META-INF/coppice/native/";

  private Extraction() {}

  /** The library of {@code platform}, unpacked into {@code folder}, which is made if it is missing. */
  static Path fromJar(Platform platform, Path folder) {
    String resource = ROOT + platform.folder() + "/libcoppice_ops.so";
    String expected = new String(resource(resource + ".sha256", platform), StandardCharsets.US_ASCII).strip();
    try {
      PrivateFolder.at(folder, "name another with -D" + OperatorLibrary.DIR_PROPERTY + "=/folder");
      Path target = folder.resolve("libcoppice_ops-" + expected.substring(0, 16) + ".so");
      Optional<PackedLibrary> packed = PackedLibrary.find(resource);
      if (!isWhole(target, packed, expected)) {
        unpack(resource(resource, platform), target, packed, expected);
      }
      return target;
    } catch (IOException e) {
      throw new NativeException("unpack", folder + ": the operator library cannot be unpacked here (" + e + "); name another folder with -D"
          + OperatorLibrary.DIR_PROPERTY + "=/folder.", e);
    }
  }

  private static byte[] resource(String name, Platform platform) {
    // The class loader's, not the class's own: on the module path the library lies in another module.
    try (InputStream in = Extraction.class.getClassLoader().getResourceAsStream(name)) {
      if (in == null) {
        throw new NativeException("missing", "The jar coppice-native has no library for " + platform.folder()
            + "; use a release that has one, or run `make arm64` for linux-aarch64 and build again.");
      }
      return in.readAllBytes();
    } catch (IOException e) {
      throw new NativeException("missing", name + " cannot be read from the jar (" + e.getMessage() + "); get the jar again.", e);
    }
  }

  /** The folder that the property names, else the user's cache. */
  static Path folder() {
    String given = System.getProperty(OperatorLibrary.DIR_PROPERTY);
    if (given != null) {
      return Path.of(given).toAbsolutePath();
    }
    String cache = System.getenv("XDG_CACHE_HOME");
    if (cache != null && Path.of(cache).isAbsolute()) {
      return Path.of(cache, "coppice");
    }
    Path home = Path.of(System.getProperty("user.home"));
    return Files.isWritable(home)
        ? home.resolve(".cache/coppice")
        : Path.of(System.getProperty("java.io.tmpdir"), "coppice-" + System.getProperty("user.name"));
  }

  private static boolean isWhole(Path file, Optional<PackedLibrary> packed, String expected) throws IOException {
    if (packed.isPresent()) {
      return packed.get().isIn(file);
    }
    return Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS) && Sha256.of(Files.readAllBytes(file)).equals(expected);
  }

  /** Not forced to the disk: what a power cut tears is not used. */
  private static void unpack(byte[] library, Path target, Optional<PackedLibrary> packed, String expected) throws IOException {
    Path part = Files.createTempFile(target.getParent(), ".libcoppice_ops", ".part");
    try {
      Files.write(part, library);
      if (!isWhole(part, packed, expected)) {
        throw new NativeException("changed", "The operator library in the jar has SHA-256 " + Sha256.of(library) + ", expected " + expected + "; get the jar again.");
      }
      Files.move(part, target, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(part);
    }
  }
}
