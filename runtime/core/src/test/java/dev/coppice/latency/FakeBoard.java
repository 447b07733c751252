package dev.coppice.latency;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** The kernel's files of a Raspberry Pi 5, which a test changes while it is measured. */
record FakeBoard(Path root) {

  /** A cool board at full clock that nobody else uses. */
  static FakeBoard cool(Path root) {
    FakeBoard board = new FakeBoard(root);
    board.clock(2_400_000);
    board.governor("performance");
    board.write("proc/device-tree/compatible", "raspberrypi,5-model-b\0brcm,bcm2712\0");
    board.temperature(47_750);
    board.throttled("0");
    board.write("proc/vmstat", "nr_free_pages 1000\npswpin 12\npswpout 7\n");
    board.processors(10_000, 90_000, 500);
    board.write("proc/meminfo", "MemTotal: 8132124 kB\nMemAvailable: 7340032 kB\nSwapTotal: 524272 kB\nSwapFree: 524272 kB\n");
    for (String resource : new String[] {"cpu", "memory", "io"}) {
      board.stalled(resource, 1000);
    }
    return board;
  }

  void clock(int kilohertz) {
    write("sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq", kilohertz + "\n");
    write("sys/devices/system/cpu/cpufreq/policy0/cpuinfo_max_freq", "2400000\n");
  }

  void governor(String name) {
    write("sys/devices/system/cpu/cpufreq/policy0/scaling_governor", name + "\n");
  }

  void throttled(String bits) {
    write("sys/devices/platform/soc/soc:firmware/get_throttled", bits + "\n");
  }

  void temperature(int thousandths) {
    write("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
    write("sys/class/thermal/thermal_zone0/temp", thousandths + "\n");
  }

  void stalled(String resource, long micros) {
    write("proc/pressure/" + resource, "some avg10=0.00 avg60=0.00 avg300=0.00 total=" + micros + "\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n");
  }

  void cooling(int state) {
    write("sys/class/thermal/cooling_device0/type", "cpufreq-cpu0\n");
    write("sys/class/thermal/cooling_device0/cur_state", state + "\n");
  }

  void processors(long busy, long idle, long own) {
    write("proc/stat", "cpu  " + busy + " 0 0 " + idle + " 0 0 0 0 0 0\ncpu0 1 2 3 4\n");
    write("proc/self/stat", "123 (a name) with) brackets) S 1 2 3 4 5 6 7 8 9 10 " + own + " 0 0 0 20 0\n");
  }

  void write(String file, String text) {
    try {
      Files.createDirectories(root.resolve(file).getParent());
      Files.writeString(root.resolve(file), text);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
