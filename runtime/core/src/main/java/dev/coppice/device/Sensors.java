package dev.coppice.device;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/**
 * Clock and temperature of the processor, from the kernel's files. A file that cannot be read is not known. Reading
 * allocates nothing. Not safe for use by two threads.
 */
public final class Sensors implements AutoCloseable {

  private static final int LONGEST = 16;
  private static final Pattern PROCESSOR = Pattern.compile("(?i)cpu|^tj-|^soc-|core|pkg_temp");

  private final List<RandomAccessFile> clocks = new ArrayList<>();
  private final List<Double> fullClocks = new ArrayList<>();
  private final List<RandomAccessFile> zones = new ArrayList<>();
  private final byte[] text = new byte[LONGEST];

  /** Opens the files below {@code root}, which is {@code /} on a real board. */
  public Sensors(Path root) {
    for (Path policy : matching(root.resolve("sys/devices/system/cpu/cpufreq"), "policy*")) {
      RandomAccessFile full = open(policy.resolve("cpuinfo_max_freq"));
      RandomAccessFile now = open(policy.resolve("scaling_cur_freq"));
      double fullKilohertz = full == null ? Double.NaN : read(full);
      close(full);
      if (fullKilohertz > 0 && now != null) {
        clocks.add(now);
        fullClocks.add(fullKilohertz);
      } else {
        close(now);
      }
    }
    for (Path zone : matching(root.resolve("sys/class/thermal"), "thermal_zone*")) {
      RandomAccessFile temperature = ofProcessor(zone) ? open(zone.resolve("temp")) : null;
      if (temperature != null) {
        zones.add(temperature);
      }
    }
  }

  /** Full clock over present clock of the cluster that is slowed down most, at least 1; 1 if unknown. */
  public double clockRatio() {
    double ratio = 1;
    for (int i = 0; i < clocks.size(); i++) {
      double now = read(clocks.get(i));
      if (now > 0) {
        ratio = Math.max(ratio, fullClocks.get(i) / now);
      }
    }
    return ratio;
  }

  /** The hottest zone of the processor in degrees Celsius; NaN if unknown. */
  public double celsius() {
    double hottest = Double.NaN;
    for (int i = 0; i < zones.size(); i++) {
      double celsius = read(zones.get(i)) / 1000;
      if (!(celsius <= hottest) && celsius == celsius) { // NaN so far
        hottest = celsius;
      }
    }
    return hottest;
  }

  /** A Jetson Nano's PMIC-Die says 100 degrees always, and there are zones of memory, radio and cameras. */
  private static boolean ofProcessor(Path zone) {
    try {
      return PROCESSOR.matcher(Files.readString(zone.resolve("type")).strip()).find();
    } catch (IOException unknown) {
      return false;
    }
  }

  /** A whole number, or NaN. */
  private double read(RandomAccessFile file) {
    try {
      file.seek(0);
      int length = file.read(text, 0, LONGEST);
      int i = 0;
      boolean negative = length > 0 && text[0] == '-';
      if (negative) {
        i++;
      }
      int first = i;
      long value = 0;
      for (; i < length && text[i] >= '0' && text[i] <= '9'; i++) {
        value = 10 * value + text[i] - '0';
      }
      return i == first ? Double.NaN : negative ? -value : value;
    } catch (IOException unknown) { // an idle zone of a Jetson answers EAGAIN
      return Double.NaN;
    }
  }

  static List<Path> matching(Path folder, String pattern) {
    List<Path> found = new ArrayList<>();
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder, pattern)) {
      entries.forEach(found::add);
    } catch (IOException unknown) {
      return List.of();
    }
    found.sort(null);
    return found;
  }

  private static RandomAccessFile open(Path file) {
    try {
      return new RandomAccessFile(file.toFile(), "r");
    } catch (IOException unknown) {
      return null;
    }
  }

  private static void close(RandomAccessFile file) {
    if (file == null) {
      return;
    }
    try {
      file.close();
    } catch (IOException nothingWasWritten) {
      // a file opened for reading
    }
  }

  @Override
  public void close() {
    clocks.forEach(Sensors::close);
    zones.forEach(Sensors::close);
  }
}
