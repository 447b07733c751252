package dev.coppice.ort;

import static org.assertj.core.api.Assertions.assertThat;

import dev.coppice.Coppice;
import dev.coppice.api.Classifier;
import dev.coppice.api.OpenOptions;
import dev.coppice.bundle.ShippedBundle;
import dev.coppice.ops.NativeMemory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** ONNX Runtime's library leaves memory where it is not needed, and works on. */
@Tag("build-machine") // an emulator has the pages of its own
final class LibraryPagesTest {

  private static final Pattern READ_ONLY = Pattern.compile("r-[-x]p .*/libonnxruntime\\.so.*\\n(?:\\w+: .*\\n)*?Rss: +(\\d+) kB");

  /** KiB in memory of the library's pages that are only read. */
  private static long resident() throws IOException {
    return READ_ONLY.matcher(Files.readString(Path.of("/proc/self/smaps"))).results().mapToLong(found -> Long.parseLong(found.group(1))).sum();
  }

  @Test
  void shouldRunOnWhenItsPagesHaveLeftMemory() throws IOException {
    try (Classifier classifier = Coppice.open(ShippedBundle.FOLDER, OpenOptions.defaults().withThreads(1))) {
      classifier.selfTest();
      long loaded = resident();
      NativeMemory.trim();
      assertThat(resident()).isLessThan(loaded - 2048);
      classifier.selfTest();
    }
  }
}
