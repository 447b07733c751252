package dev.coppice.device;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalLong;

/** Reads what the kernel shows as files. What cannot be read is not known. */
final class KernelFile {

  private KernelFile() {}

  /** Opens instead of asking whether the file exists: emulators redirect the one and not the other. */
  static Optional<String> text(Path file) {
    try {
      return Optional.of(Files.readString(file, StandardCharsets.ISO_8859_1));
    } catch (IOException unknown) {
      return Optional.empty();
    }
  }

  /** A file of one whole number, not negative. */
  static Optional<Long> number(Path file) {
    return text(file).map(String::strip).filter(t -> t.matches("\\d{1,18}")).map(Long::valueOf);
  }

  /** A line of {@code /proc/meminfo} in MiB. */
  static OptionalLong mib(String meminfo, String key) {
    return value(meminfo, key).filter(v -> v.matches("\\d{1,15} kB")).map(v -> OptionalLong.of(Long.parseLong(v.substring(0, v.length() - 3)) >> 10)).orElse(OptionalLong.empty());
  }

  /** The value of the line {@code key: value} or {@code key value}. */
  static Optional<String> value(String text, String key) {
    return text.lines().filter(line -> line.startsWith(key)).map(line -> line.substring(key.length()).strip()).findFirst();
  }
}
