package dev.coppice.device;

import static org.assertj.core.api.Assertions.assertThat;

import dev.coppice.api.DeviceState;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The kernel's files as boards have them, damaged and forbidden. */
final class DeviceReaderTest {

  @TempDir private Path root;

  private Path write(String file, String text) throws IOException {
    Path path = root.resolve(file);
    Files.createDirectories(path.getParent());
    return Files.writeString(path, text);
  }

  private DeviceState read() {
    try (DeviceReader reader = new DeviceReader(root)) {
      return reader.read();
    }
  }

  @Test
  void shouldReadEveryCluster() throws IOException {
    for (int policy : new int[] {0, 4}) {
      write("sys/devices/system/cpu/cpufreq/policy" + policy + "/scaling_cur_freq", policy == 0 ? "1800000\n" : "2256000\n");
      write("sys/devices/system/cpu/cpufreq/policy" + policy + "/scaling_governor", policy == 0 ? "schedutil\n" : "performance\n");
    }
    assertThat(read().megahertz()).containsExactly(1800, 2256);
    assertThat(read().governors()).containsExactly("schedutil", "performance");
  }

  @Test
  void shouldReadThrottleBitsInHexadecimal() throws IOException {
    write("sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n");
    assertThat(read().throttled()).hasValue(0x50005);
  }

  @Test
  void shouldTakeTheHighestStateOfWhatCoolsAProcessor() throws IOException {
    String[] types = {"cpufreq-cpu0", "pwm-fan", "thermal-cpufreq-1"};
    for (int i = 0; i < types.length; i++) {
      write("sys/class/thermal/cooling_device" + i + "/type", types[i] + "\n");
      write("sys/class/thermal/cooling_device" + i + "/cur_state", new int[] {0, 4, 2}[i] + "\n");
    }
    assertThat(read().cooling()).hasValue(2);
  }

  @Test
  void shouldCountTheTicksOfAllProcessors() throws IOException {
    write("proc/stat", "cpu  100 20 30 4000 50 6 7 8 0 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n");
    write("proc/self/stat", "7 (java (x) 1) S 1 1 1 0 -1 0 0 0 0 0 31 11 0 0 20 0\n");
    DeviceState state = read();
    assertThat(state.ticks()).hasValue(4221);
    assertThat(state.busyTicks()).hasValue(171); // waiting for a disk is no work
    assertThat(state.ownTicks()).hasValue(42);
  }

  @Test
  void shouldReadMemoryAndWhatHadToWait() throws IOException {
    write("proc/meminfo", "MemTotal:        8132124 kB\nMemAvailable:    2097152 kB\nSwapTotal: 524288 kB\nSwapFree:  262144 kB\n");
    write("proc/pressure/memory", "some avg10=1.53 avg60=0.00 avg300=0.00 total=4711\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=12\n");
    write("proc/pressure/io", "some avg10=1.53\n");
    DeviceState state = read();
    assertThat(state.availableMib()).hasValue(2048);
    assertThat(state.freeSwapMib()).hasValue(256);
    assertThat(state.stalled()).isEqualTo(new DeviceState.Stalled(OptionalLong.empty(), OptionalLong.of(4711), OptionalLong.empty()));
  }

  @Test
  void shouldKnowNothingFromDamagedFiles() throws IOException {
    write("proc/stat", "intr 1 2 3\n");
    write("proc/self/stat", "7\n");
    write("proc/vmstat", "pswpin many\n");
    write("sys/devices/platform/soc/soc:firmware/get_throttled", "hot\n");
    write("sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq", "<unknown>\n");
    DeviceState state = read();
    assertThat(state.ticks()).isEmpty();
    assertThat(state.busyTicks()).isEmpty();
    assertThat(state.ownTicks()).isEmpty();
    assertThat(state.swapIns()).isEmpty();
    assertThat(state.throttled()).isEmpty();
    assertThat(state.megahertz()).isEmpty();
  }

  @Test
  void shouldSayWhyASensorIsNotKnown() throws IOException {
    Files.createDirectories(root.resolve("proc/stat"));
    try (DeviceReader reader = new DeviceReader(root)) {
      reader.read();
      assertThat(reader.unknown()).containsEntry("load", "/proc/stat cannot be read").containsEntry("swap", "no /proc/vmstat");
    }
  }

  @Test
  void shouldNameASensorThatItMayNotRead() throws IOException {
    UnreadableFile.FORBIDDEN.put(root.resolve("proc/vmstat"));
    try (DeviceReader reader = new DeviceReader(root)) {
      reader.read();
      assertThat(reader.unknown()).containsEntry("swap", "no permission to read /proc/vmstat");
    }
  }
}
