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
    String text = text(file).orElse("").strip();
    return isNumber(text) ? Optional.of(Long.valueOf(text)) : Optional.empty();
  }

  /** A line of {@code /proc/meminfo} in MiB. */
  static OptionalLong mib(String meminfo, String key) {
    return value(meminfo, key).filter(v -> v.matches("\\d{1,15} kB")).map(v -> OptionalLong.of(Long.parseLong(v.substring(0, v.length() - 3)) >> 10)).orElse(OptionalLong.empty());
  }

  /** Whether this is 1 to 18 digits. */
  static boolean isNumber(String text) {
    boolean digits = !text.isEmpty() && text.length() <= 18;
    for (int i = 0; digits && i < text.length(); i++) {
      digits = text.charAt(i) >= '0' && text.charAt(i) <= '9';
    }
    return digits;
  }

  /** The value of the first line {@code key: value} or {@code key value}. */
  static Optional<String> value(String text, String key) {
    for (int line = 0; line < text.length(); line = end(text, line) + 1) {
      if (text.startsWith(key, line)) {
        return Optional.of(text.substring(line + key.length(), end(text, line)).strip());
      }
    }
    return Optional.empty();
  }

  private static int end(String text, int line) {
    int end = text.indexOf('\n', line);
    return end < 0 ? text.length() : end;
  }
}
