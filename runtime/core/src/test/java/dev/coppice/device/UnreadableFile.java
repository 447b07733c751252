package dev.coppice.device;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Files of the kernel that nobody can read, root neither, to stand for a sensor. */
enum UnreadableFile {
  /** A switch that only takes: opening it for reading is refused (EACCES). */
  FORBIDDEN("/proc/sys/vm/compact_memory"),
  /** The memory of this process, which has no page at 0 (EIO). */
  BROKEN("/proc/self/mem");

  private final Path file;

  UnreadableFile(String file) {
    this.file = Path.of(file);
  }

  void put(Path sensor) throws IOException {
    assertThatThrownBy(() -> Files.readAllBytes(file)).isInstanceOf(IOException.class);
    Files.createDirectories(sensor.getParent());
    Files.createSymbolicLink(sensor, file);
  }
}
