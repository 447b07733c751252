package dev.coppice.device;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.StringJoiner;
import java.util.TreeMap;

/**
 * On which processors the threads of a run belong.
 *
 * <p>A run is as slow as its slowest thread, so on a chip with small and large cores the threads keep to the large ones.
 *
 * @param workers one processor for each thread but the caller's, which stays free; empty where all processors are alike or
 *     there are more threads than large cores
 */
public record ThreadPlan(List<Integer> workers) {

  /** Copies the list. */
  public ThreadPlan {
    workers = List.copyOf(workers);
  }

  /** The plan by the files below {@code root}, which is {@code /} on a real board. */
  public static ThreadPlan probe(Path root, int threads) {
    return of(capacities(root.resolve("sys/devices/system/cpu")), allowed(root.resolve("proc/self/status")), threads);
  }

  /** The plan for processors of these capacities (any measure of speed), of which these may be used (empty: all). */
  static ThreadPlan of(SortedMap<Integer, Long> capacities, List<Integer> allowed, int threads) {
    List<Integer> large = new ArrayList<>();
    int usable = 0;
    long most = 0;
    for (Map.Entry<Integer, Long> processor : capacities.entrySet()) {
      if (allowed.isEmpty() || allowed.contains(processor.getKey())) {
        usable++;
        if (processor.getValue() > most) {
          most = processor.getValue();
          large.clear();
        }
        if (processor.getValue() == most) {
          large.add(processor.getKey());
        }
      }
    }
    return large.size() == usable || threads > large.size() ? new ThreadPlan(List.of()) : new ThreadPlan(large.subList(1, threads));
  }

  /** ONNX Runtime's notation: processors count from 1. */
  public String affinities() {
    StringJoiner numbers = new StringJoiner(";");
    for (int worker : workers) {
      numbers.add(String.valueOf(worker + 1));
    }
    return numbers.toString();
  }

  private static SortedMap<Integer, Long> capacities(Path folder) {
    SortedMap<Integer, Long> found = new TreeMap<>();
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder)) {
      for (Path entry : entries) {
        String name = entry.getFileName().toString();
        if (!name.startsWith("cpu") || !KernelFile.isNumber(name.substring(3))) {
          continue;
        }
        Optional<Long> capacity = KernelFile.number(entry.resolve("cpu_capacity"));
        if (capacity.isEmpty()) {
          capacity = KernelFile.number(entry.resolve("cpufreq/cpuinfo_max_freq"));
        }
        if (capacity.isEmpty()) {
          return new TreeMap<>(); // of some nothing is known: nothing is planned
        }
        found.put(Integer.valueOf(name.substring(3)), capacity.get());
      }
    } catch (IOException unknown) {
      return new TreeMap<>();
    }
    return found;
  }

  /** The processors of a line such as {@code Cpus_allowed_list: 0-3,6}. */
  private static List<Integer> allowed(Path status) {
    List<Integer> processors = new ArrayList<>();
    String list = KernelFile.value(KernelFile.text(status).orElse(""), "Cpus_allowed_list:").orElse("");
    for (String range : list.split(",")) {
      int dash = range.indexOf('-');
      String first = dash < 0 ? range : range.substring(0, dash);
      String last = range.substring(dash + 1);
      if (KernelFile.isNumber(first) && KernelFile.isNumber(last)) {
        for (long processor = Long.parseLong(first); processor <= Long.parseLong(last) && processor < 4096; processor++) {
          processors.add((int) processor);
        }
      }
    }
    return processors;
  }
}
