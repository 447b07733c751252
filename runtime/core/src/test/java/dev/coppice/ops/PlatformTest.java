package dev.coppice.ops;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.coppice.api.NativeException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class PlatformTest {

  @ParameterizedTest
  @CsvSource({"aarch64, linux-aarch64", "arm64, linux-aarch64", "AArch64, linux-aarch64", "amd64, linux-x86_64", "x86_64, linux-x86_64"})
  void shouldNameTheFolderOfASupportedPlatform(String arch, String folder) {
    assertThat(Platform.of("Linux", arch, false).folder()).isEqualTo(folder);
  }

  @ParameterizedTest
  @CsvSource({
    "Linux, arm, false, '32-bit ARM; install the 64-bit edition of the operating system and a 64-bit Java.'",
    "Linux, aarch64, true, 'Linux with musl on aarch64; use a distribution with glibc, such as Debian or Raspberry Pi OS.'",
    "Linux, riscv64, false, 'Linux on riscv64; use a 64-bit ARM board.'",
    "Mac OS X, aarch64, false, 'Mac OS X on aarch64; run on Linux.'",
    "Windows 11, amd64, false, 'Windows 11 on amd64; run on Linux.'",
  })
  void shouldRefuseAnotherPlatformByNameAndSayWhatToDo(String os, String arch, boolean musl, String rest) {
    assertThatThrownBy(() -> Platform.of(os, arch, musl)).isInstanceOf(NativeException.class).extracting("code").isEqualTo("native.platform");
    assertThatThrownBy(() -> Platform.of(os, arch, musl)).hasMessage("Coppice runs on 64-bit ARM and x86-64 Linux with glibc, found " + rest);
  }

  @Test
  void shouldSupportTheMachineThatRunsTheTests() {
    assertThat(Platform.of(System.getProperty("os.name"), System.getProperty("os.arch"), false)).isNotNull();
  }
}
