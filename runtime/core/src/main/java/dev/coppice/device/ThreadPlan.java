package dev.coppice.device;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * On which processors the threads of a run belong.
 *
 * <p>A run is as slow as its slowest thread, so on a chip with small and large cores the threads keep to the large ones.
 *
 * @param workers one processor for each thread but the caller's, which stays free; empty where all processors are alike or
 *     there are more threads than large cores
 */
public record ThreadPlan(List<Integer> workers) {

  private static final Pattern PROCESSOR = Pattern.compile("cpu(\\d+)");
  private static final Pattern RANGE = Pattern.compile("(\\d+)(?:-(\\d+))?");

  /** Copies the list. */
  public ThreadPlan {
    workers = List.copyOf(workers);
  }

  /** The plan by the files below {@code root}, which is {@code /} on a real board. */
  public static ThreadPlan probe(Path root, int threads) {
    return of(capacities(root.resolve("sys/devices/system/cpu")), allowed(root.resolve("proc/self/status")), threads);
  }

  /** The plan for processors of these capacities (any measure of speed), of which these may be used (empty: all). */
  static ThreadPlan of(Map<Integer, Long> capacities, List<Integer> allowed, int threads) {
    List<Integer> usable = capacities.keySet().stream().filter(p -> allowed.isEmpty() || allowed.contains(p)).toList();
    long most = usable.stream().mapToLong(capacities::get).max().orElse(0);
    List<Integer> large = usable.stream().filter(p -> capacities.get(p) == most).sorted(Comparator.naturalOrder()).toList();
    if (large.size() == usable.size() || threads > large.size()) {
      return new ThreadPlan(List.of());
    }
    return new ThreadPlan(large.subList(1, threads));
  }

  /** ONNX Runtime's notation: processors count from 1. */
  public String affinities() {
    return workers.stream().map(p -> String.valueOf(p + 1)).collect(Collectors.joining(";"));
  }

  private static Map<Integer, Long> capacities(Path folder) {
    Map<Integer, Long> found = new TreeMap<>();
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder, "cpu[0-9]*")) {
      for (Path entry : entries) {
        Matcher number = PROCESSOR.matcher(entry.getFileName().toString());
        Optional<Long> capacity = KernelFile.number(entry.resolve("cpu_capacity")).or(() -> KernelFile.number(entry.resolve("cpufreq/cpuinfo_max_freq")));
        if (!number.matches() || capacity.isEmpty()) {
          return Map.of(); // of some nothing is known: nothing is planned
        }
        found.put(Integer.valueOf(number.group(1)), capacity.get());
      }
    } catch (IOException unknown) {
      return Map.of();
    }
    return found;
  }

  private static List<Integer> allowed(Path status) {
    List<Integer> processors = new ArrayList<>();
    for (String line : KernelFile.text(status).orElse("").lines().filter(l -> l.startsWith("Cpus_allowed_list:")).toList()) {
      Matcher range = RANGE.matcher(line);
      while (range.find()) {
        int first = Integer.parseInt(range.group(1));
        int last = range.group(2) == null ? first : Integer.parseInt(range.group(2));
        for (int processor = first; processor <= last && processor < 4096; processor++) {
          processors.add(processor);
        }
      }
    }
    return processors;
  }
}
