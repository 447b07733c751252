package dev.coppice.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The kernel's files as a Raspberry Pi 5 has them, changed and damaged. */
final class SensorsTest {

  @TempDir private Path root;

  private void write(String file, String text) throws IOException {
    Path path = root.resolve(file);
    Files.createDirectories(path.getParent());
    Files.writeString(path, text);
  }

  private void clock(int policy, String full, String now) throws IOException {
    write("sys/devices/system/cpu/cpufreq/policy" + policy + "/cpuinfo_max_freq", full);
    write("sys/devices/system/cpu/cpufreq/policy" + policy + "/scaling_cur_freq", now);
  }

  @Test
  void shouldTellTheClockOfTheSlowestCluster() throws IOException {
    clock(0, "2400000\n", "2400000\n");
    clock(4, "1800000\n", "1200000\n");
    try (Sensors sensors = new Sensors(root)) {
      assertThat(sensors.clockRatio()).isCloseTo(1.5, within(1e-12));
      clock(0, "2400000\n", "600000\n");
      assertThat(sensors.clockRatio()).isCloseTo(4, within(1e-12));
    }
  }

  private void zone(int number, String type, String millicelsius) throws IOException {
    write("sys/class/thermal/thermal_zone" + number + "/type", type + "\n");
    write("sys/class/thermal/thermal_zone" + number + "/temp", millicelsius);
  }

  @Test
  void shouldTellTheHottestZoneOfTheProcessor() throws IOException {
    zone(0, "cpu-thermal", "47750\n");
    zone(1, "tj-thermal", "52300\n");
    zone(2, "CPU-therm", "-273200\n");
    zone(3, "PMIC-Die", "100000\n");
    zone(4, "gpu-thermal", "60000\n");
    try (Sensors sensors = new Sensors(root)) {
      assertThat(sensors.celsius()).isCloseTo(52.3, within(1e-9));
    }
  }

  @Test
  void shouldKnowNothingWithoutFiles() {
    try (Sensors sensors = new Sensors(root)) {
      assertThat(sensors.clockRatio()).isEqualTo(1);
      assertThat(sensors.celsius()).isNaN();
    }
  }

  @ParameterizedTest
  @EnumSource
  void shouldKnowNothingFromFilesThatCannotBeRead(UnreadableFile kind) throws IOException {
    write("sys/devices/system/cpu/cpufreq/policy0/cpuinfo_max_freq", "2400000\n");
    kind.put(root.resolve("sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq"));
    write("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
    kind.put(root.resolve("sys/class/thermal/thermal_zone0/temp"));
    try (Sensors sensors = new Sensors(root)) {
      assertThat(sensors.clockRatio()).isEqualTo(1);
      assertThat(sensors.celsius()).isNaN();
    }
  }

  @Test
  void shouldKnowNothingFromFilesWithoutNumbers() throws IOException {
    clock(0, "2400000\n", "\n");
    clock(1, "unknown\n", "1200000\n");
    clock(2, "0\n", "0\n");
    zone(0, "cpu-thermal", "-\n");
    zone(1, "cpu-thermal", "");
    write("sys/class/thermal/thermal_zone2/type", "cpu-thermal\n");
    write("sys/class/thermal/thermal_zone3/temp", "50000\n");
    try (Sensors sensors = new Sensors(root)) {
      assertThat(sensors.clockRatio()).isEqualTo(1);
      assertThat(sensors.celsius()).isNaN();
    }
  }
}
