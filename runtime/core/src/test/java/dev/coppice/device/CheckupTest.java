package dev.coppice.device;

import static org.assertj.core.api.Assertions.assertThat;

import dev.coppice.api.Diagnostics.Finding;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A Raspberry Pi 4 that is well, and the same with one thing wrong. */
final class CheckupTest {

  private static final Path FIXTURE = Path.of(System.getProperty("coppice.fixtures"), "raspberry-pi-4b");

  @TempDir private Path root;

  @BeforeEach
  void makeAHealthyBoard() throws IOException {
    List<Path> sources;
    try (Stream<Path> walk = Files.walk(FIXTURE)) {
      sources = walk.filter(Files::isRegularFile).toList();
    }
    for (Path source : sources) {
      write(FIXTURE.relativize(source).toString(), Files.readString(source));
    }
    write("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
    write("sys/class/thermal/thermal_zone0/temp", "47750\n");
    write("sys/devices/system/cpu/cpufreq/policy0/scaling_governor", "ondemand\n");
    write("sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq", "600000\n");
    write("sys/devices/system/cpu/cpufreq/policy0/cpuinfo_max_freq", "1800000\n");
    write("sys/devices/platform/soc/soc:firmware/get_throttled", "50000\n"); // once since the start, not now
    meminfo(3884000, 3200000, 102396, 102396);
    write("proc/self/mounts", "/dev/root / ext4 rw 0 0\ntmpfs /tmp tmpfs rw,nosuid 0 0\n");
    write("proc/self/maps", "7f00-7f01 r-xp 00000000 08:01 42   /tmp/onnxruntime-java1/libonnxruntime.so\n");
    write("proc/self/cgroup", "0::/user.slice/a.service\n");
    write("sys/fs/cgroup/user.slice/cpu.max", "max 100000\n");
  }

  private void write(String file, String text) throws IOException {
    Path path = root.resolve(file);
    Files.createDirectories(path.getParent());
    Files.writeString(path, text);
  }

  private void meminfo(long total, long available, long swap, long swapFree) throws IOException {
    write("proc/meminfo", "MemTotal:        " + total + " kB\nMemFree:  1000 kB\nMemAvailable:  " + available + " kB\nSwapTotal: " + swap + " kB\nSwapFree: " + swapFree + " kB\n");
  }

  private Checkup check() {
    return new Checkup(root, 4, Optional.of(Path.of("/tmp")));
  }

  @Test
  void shouldTellWhatTheMachineIs() {
    Checkup found = check();
    assertThat(found.findings()).isEmpty();
    assertThat(found.facts()).containsEntry("board", "Raspberry Pi 4 Model B Rev 1.4 (Cortex-A72)").containsEntry("profile", "raspberry-pi-4b")
        .containsEntry("processors", "0-3").containsEntry("threads", "4, anywhere").containsEntry("cpu quota", "none")
        .containsEntry("clocks", "policy0 600 of 1800 MHz, ondemand").containsEntry("throttled", "0x50000").containsEntry("temperature", "47.8 degrees Celsius")
        .containsEntry("throttle point", "80 degrees Celsius").containsEntry("memory", "3125 of 3792 MiB available").containsEntry("swap", "99 of 99 MiB free")
        .containsEntry("memory limit", "none").containsEntry("onnx runtime library", "/tmp/onnxruntime-java1/libonnxruntime.so");
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
    "sys/devices/system/cpu/cpufreq/policy0/scaling_governor | powersave | clock.powersave | The clock of policy0 stays at its lowest (governor powersave); set another: echo schedutil | /sys/devices/system/cpu/cpufreq/policy0/scaling_governor.",
    "sys/devices/platform/soc/soc:firmware/get_throttled | 50005 | clock.voltage | too little voltage | power supply",
    "sys/devices/platform/soc/soc:firmware/get_throttled | e0008 | clock.throttled | lowers the clock because of heat | a fan",
    "sys/class/thermal/thermal_zone0/temp | 75100 | heat.near | The processor has 75.1 degrees Celsius and its clock is cut at 80 | a fan",
    "sys/class/thermal/thermal_zone0/type | gpu-thermal | heat.unknown | No thermal zone of the processor | thermal driver",
    "sys/fs/cgroup/user.slice/cpu.max | 150000 100000 | container.cpu | allows 1.50 processors, a run uses 4 threads | raise the quota",
    "sys/fs/cgroup/user.slice/a.service/memory.max | 134217728 | container.memory | allows 128 MiB of memory | raise the limit",
    "proc/self/mounts | tmpfs /tmp tmpfs rw,noexec 0 0 | disc.noexec | (/tmp is mounted noexec) | -Donnxruntime.native.path",
    "proc/device-tree/compatible | nvidia,p3450-0000 | board.unsupported | JetPack 4 has glibc 2.27 | 2.28",
  })
  void shouldSayWhatIsWrongAndWhatToDo(String file, String text, String code, String what, String remedy) throws IOException {
    write(file, text);
    assertThat(check().findings()).singleElement().satisfies(finding -> {
      assertThat(finding.code()).isEqualTo(code);
      assertThat(finding.sentence()).contains(what, remedy).endsWith(".");
    });
  }

  @ParameterizedTest
  @CsvSource({"200000, 102396, 102396, memory.low", "3200000, 102396, 5000, memory.swap"})
  void shouldSayThatMemoryOrSwapRunsOut(long available, long swap, long swapFree, String code) throws IOException {
    meminfo(3884000, available, swap, swapFree);
    assertThat(check().findings()).extracting(Finding::code).containsExactly(code);
  }

  @Test
  void shouldLeaveAPcsOwnGovernorAlone() throws IOException {
    write("sys/devices/system/cpu/cpufreq/policy0/scaling_governor", "powersave\n");
    write("sys/devices/system/cpu/cpufreq/policy0/scaling_driver", "intel_pstate\n");
    assertThat(check().findings()).isEmpty();
  }

  @Test
  void shouldFindNothingWrongWithAMachineThatTellsNothing(@TempDir Path empty) {
    Checkup found = new Checkup(empty, 1, Optional.empty());
    assertThat(found.findings()).isEmpty();
    assertThat(found.facts()).containsEntry("board", "unknown processor").containsEntry("memory", "unknown").containsEntry("clocks", "unknown");
  }
}
