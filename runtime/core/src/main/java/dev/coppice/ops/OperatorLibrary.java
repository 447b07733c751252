package dev.coppice.ops;

import dev.coppice.api.NativeException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * The loaded operator library of this process.
 *
 * @param file that was loaded; ONNX Runtime registers the operators from the same file
 * @param isa instruction set in use
 * @param isas instruction sets that could run here, slowest first
 * @param glibc version of the C library
 */
public record OperatorLibrary(Path file, String isa, List<String> isas, String glibc) {

  /** A file, or a folder that holds libcoppice_ops.so; used as it is, with no fallback. */
  public static final String PATH_PROPERTY = "coppice.native.path";

  /** The folder to unpack into, instead of the user's cache. */
  public static final String DIR_PROPERTY = "coppice.native.dir";

  private static OperatorLibrary loaded;

  /** Loads the library once; later calls give the same. */
  public static synchronized OperatorLibrary load() {
    // No static initialiser: a refusal thrown there would reach the caller as an Error, and only the first time.
    if (loaded == null) {
      loaded = loadFirst();
    }
    return loaded;
  }

  /** Whether it is loaded; waits where it is on its way. */
  static synchronized boolean isLoaded() {
    return loaded != null;
  }

  private static OperatorLibrary loadFirst() {
    Platform platform = Platform.of(System.getProperty("os.name"), System.getProperty("os.arch"), musl());
    String given = System.getProperty(PATH_PROPERTY);
    Path file = given != null ? given(given) : Extraction.fromJar(platform, Extraction.folder());
    try {
      System.load(file.toString());
    } catch (UnsatisfiedLinkError e) {
      throw new NativeException("load", refusal(file, String.valueOf(e.getMessage())), e);
    }
    if (NativeOps.abi() != NativeOps.ABI) {
      throw new NativeException("version", file + " has native interface " + NativeOps.abi() + ", this jar needs " + NativeOps.ABI
          + "; use library and jar of one release.");
    }
    try {
      return new OperatorLibrary(file, NativeOps.isa(), List.of(NativeOps.isas()), NativeOps.glibc());
    } catch (IllegalStateException e) {
      throw new NativeException("isa", e.getMessage(), e);
    }
  }

  /**
   * Unpacks ONNX Runtime's libraries, before its first class is used, and tells builds of them apart; empty where they are left to others. Who names
   * our library by hand gets no folder.
   */
  public static String unpackRuntime() {
    return System.getProperty(PATH_PROPERTY) != null ? ""
        : RuntimeLibraries.unpack(Platform.of(System.getProperty("os.name"), System.getProperty("os.arch"), false), Extraction.folder());
  }

  /** Tells builds of the library apart: a sum of the file. */
  public String build() throws IOException {
    return PrivateFolder.digits(PrivateFolder.sum(file));
  }

  /** Hash of the file as it is now, in hexadecimal digits. */
  public String sha256() {
    try {
      return Sha256.of(Files.readAllBytes(file));
    } catch (IOException e) {
      throw new NativeException("changed", file + " has been loaded and can no longer be read (" + e.getMessage() + "); start the program again.", e);
    }
  }

  private static Path given(String value) {
    Path path = Path.of(value);
    if (!path.isAbsolute()) {
      throw new NativeException("path", "-D" + PATH_PROPERTY + " must be an absolute path, found " + value + "; give the whole path.");
    }
    Path file = Files.isDirectory(path) ? path.resolve("libcoppice_ops.so") : path;
    if (!Files.isReadable(file)) {
      throw new NativeException("path", "-D" + PATH_PROPERTY + " names " + file + ", which cannot be read; correct the path or leave the property out.");
    }
    return file;
  }

  private static String refusal(Path file, String reason) {
    if (reason.contains("already loaded in another classloader")) {
      return file + " is already loaded by another class loader of this JVM; load Coppice in one class loader that both applications share.";
    }
    if (reason.contains("failed to map segment") || reason.contains("Operation not permitted")) {
      return file + " lies in a folder without execute permission (noexec); name another with -D" + DIR_PROPERTY + "=/folder, or a file with -D"
          + PATH_PROPERTY + ".";
    }
    return file + " cannot be loaded (" + reason + "); use the library of this release for this platform.";
  }

  private static boolean musl() {
    try {
      // A glibc system may have musl installed beside it: the JVM itself tells which one runs.
      return (Files.exists(Path.of("/lib/ld-musl-aarch64.so.1")) || Files.exists(Path.of("/lib/ld-musl-x86_64.so.1")))
          && Files.readString(Path.of("/proc/self/maps")).contains("ld-musl-");
    } catch (IOException unknown) {
      return false;
    }
  }
}
