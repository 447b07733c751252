package dev.coppice.ops;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Optional;
import org.slf4j.LoggerFactory;

/**
 * ONNX Runtime's own libraries, unpacked once. Left alone its loader unpacks 28 MB at every start, into java.io.tmpdir, which is memory on many
 * boards, and that is most of the time until the first result.
 */
final class RuntimeLibraries {

  private static final List<String> NAMES = List.of("onnxruntime", "onnxruntime4j_jni");

  private static String unpacked = ""; // names of the files, which have their sums
  private static Path unusable; // a folder that cannot keep them, which is tried and told once

  private RuntimeLibraries() {}

  /**
   * Tells ONNX Runtime's loader of unpacked libraries in this folder, unless something has told it of others; gives what tells these libraries from
   * those of another build, empty where it is left to others.
   */
  static synchronized String unpack(Platform platform, Path folder) {
    if (areGiven() || folder.equals(unusable)) {
      return unpacked;
    }
    try {
      PrivateFolder cache = PrivateFolder.at(folder, "name another");
      String found = "";
      for (String name : NAMES) {
        Optional<Path> library = library(cache, "ai/onnxruntime/native/" + platform.folder().replace("x86_64", "x64") + "/lib" + name + ".so");
        if (library.isPresent()) {
          System.setProperty(property(name), library.get().toString());
          found += library.get().getFileName() + " ";
        }
      }
      unpacked = found;
    } catch (IOException e) {
      unusable = folder;
      LoggerFactory.getLogger(RuntimeLibraries.class).warn("ONNX Runtime's libraries cannot be kept in {} ({}); they are unpacked at every start", folder, e.toString());
    }
    return unpacked;
  }

  private static Optional<Path> library(PrivateFolder cache, String resource) throws IOException {
    Optional<PackedLibrary> packed = PackedLibrary.find(resource);
    if (packed.isEmpty()) {
      return Optional.empty();
    }
    Path file = cache.path().resolve(Path.of(resource).getFileName() + "." + PrivateFolder.digits(packed.get().entry().getCrc()));
    if (packed.get().isIn(file)) {
      return Optional.of(file);
    }
    Path part = cache.part();
    try {
      copy(packed.get(), part);
      return Optional.of(Files.move(part, file, StandardCopyOption.ATOMIC_MOVE));
    } finally {
      Files.deleteIfExists(part);
    }
  }

  /** In larger pieces than the 8 KiB of Files.copy, which take a young JVM a fifth more time. */
  private static void copy(PackedLibrary packed, Path file) throws IOException {
    byte[] piece = new byte[PrivateFolder.PIECE];
    try (InputStream in = packed.open(); OutputStream out = Files.newOutputStream(file)) {
      for (int read = in.read(piece); read >= 0; read = in.read(piece)) {
        out.write(piece, 0, read);
      }
    }
  }

  private static boolean areGiven() {
    boolean given = System.getProperty("onnxruntime.native.path") != null;
    for (String name : NAMES) {
      given = given || System.getProperty(property(name)) != null || System.getProperty("onnxruntime.native." + name + ".skip") != null;
    }
    return given;
  }

  private static String property(String name) {
    return "onnxruntime.native." + name + ".path";
  }
}
