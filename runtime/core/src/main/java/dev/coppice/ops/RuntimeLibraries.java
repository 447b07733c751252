package dev.coppice.ops;

import java.io.IOException;
import java.io.InputStream;
import java.net.JarURLConnection;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Optional;
import java.util.jar.JarEntry;
import java.util.zip.CRC32;
import java.util.zip.CheckedInputStream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * ONNX Runtime's own libraries, unpacked once. Left alone its loader unpacks 28 MB at every start, into java.io.tmpdir, which is memory on many
 * boards, and that is most of the time until the first result.
 */
final class RuntimeLibraries {

  private static final Logger LOG = LoggerFactory.getLogger(RuntimeLibraries.class);
  private static final List<String> NAMES = List.of("onnxruntime", "onnxruntime4j_jni");

  private RuntimeLibraries() {}

  /** Tells ONNX Runtime's loader of unpacked libraries in this folder, unless something has told it of others. */
  static void unpack(Platform platform, Path folder) {
    if (System.getProperty("onnxruntime.native.path") != null || NAMES.stream().anyMatch(RuntimeLibraries::isGiven)) {
      return;
    }
    try {
      PrivateFolder cache = PrivateFolder.at(folder, "name another");
      for (String name : NAMES) {
        Optional<Path> library = library(cache, "ai/onnxruntime/native/" + platform.folder().replace("x86_64", "x64") + "/lib" + name + ".so");
        library.ifPresent(file -> System.setProperty(property(name), file.toString()));
      }
    } catch (IOException e) {
      LOG.warn("ONNX Runtime's libraries cannot be kept in {} ({}); they are unpacked at every start", folder, e.toString());
    }
  }

  private static Optional<Path> library(PrivateFolder cache, String resource) throws IOException {
    URL url = RuntimeLibraries.class.getClassLoader().getResource(resource);
    if (url == null || !(url.openConnection() instanceof JarURLConnection connection)) {
      return Optional.empty();
    }
    JarEntry entry = connection.getJarEntry();
    Path file = cache.path().resolve(String.format("%s.%08x", Path.of(resource).getFileName(), entry.getCrc()));
    if (isWhole(file, entry)) {
      return Optional.of(file);
    }
    Path part = cache.part();
    try (InputStream in = connection.getInputStream()) {
      Files.copy(in, part, StandardCopyOption.REPLACE_EXISTING);
      return Optional.of(Files.move(part, file, StandardCopyOption.ATOMIC_MOVE));
    } finally {
      Files.deleteIfExists(part);
    }
  }

  /** By the sum that the jar has of it, which is native code even in a young JVM: a tenth of a second goes to SHA-256. Nobody else can write here. */
  private static boolean isWhole(Path file, JarEntry entry) throws IOException {
    if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS) || Files.size(file) != entry.getSize()) {
      return false;
    }
    CRC32 sum = new CRC32();
    try (InputStream in = new CheckedInputStream(Files.newInputStream(file), sum)) {
      byte[] buffer = new byte[1 << 16];
      while (in.read(buffer) >= 0) { // the stream sums
      }
    }
    return sum.getValue() == entry.getCrc();
  }

  private static boolean isGiven(String name) {
    return System.getProperty(property(name)) != null || System.getProperty("onnxruntime.native." + name + ".skip") != null;
  }

  private static String property(String name) {
    return "onnxruntime.native." + name + ".path";
  }
}
