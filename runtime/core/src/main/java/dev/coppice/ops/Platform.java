package dev.coppice.ops;

import dev.coppice.api.NativeException;
import java.util.Locale;

/** The platforms the operator library is built for. */
enum Platform {
  LINUX_AARCH64("linux-aarch64"),
  LINUX_X86_64("linux-x86_64");

  private final String folder;

  Platform(String folder) {
    this.folder = folder;
  }

  /** Its folder in the jar. */
  String folder() {
    return folder;
  }

  /**
   * The platform of these values of {@code os.name} and {@code os.arch}.
   *
   * @param musl whether the C library is musl, whose programs cannot load ONNX Runtime
   */
  static Platform of(String osName, String osArch, boolean musl) {
    String arch = osArch.toLowerCase(Locale.ROOT);
    if (!osName.toLowerCase(Locale.ROOT).startsWith("linux")) {
      throw unsupported(osName + " on " + osArch, "run on Linux");
    }
    if (musl) {
      throw unsupported("Linux with musl on " + osArch, "use a distribution with glibc, such as Debian or Raspberry Pi OS");
    }
    return switch (arch) {
      case "aarch64", "arm64" -> LINUX_AARCH64;
      case "amd64", "x86_64" -> LINUX_X86_64;
      case "arm" -> throw unsupported("32-bit ARM", "install the 64-bit edition of the operating system and a 64-bit Java");
      default -> throw unsupported("Linux on " + osArch, "use a 64-bit ARM board");
    };
  }

  private static NativeException unsupported(String found, String advice) {
    return new NativeException("platform", "Coppice runs on 64-bit ARM and x86-64 Linux with glibc, found " + found + "; " + advice + ".");
  }
}
