package dev.coppice.device;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What the control groups of this process allow it, versions 1 and 2; the tightest of a group and those above it counts.
 *
 * @param processors time that may be used, in processors; empty without a quota
 * @param memoryMib that may be used; empty without a limit
 */
record ControlGroup(OptionalDouble processors, OptionalLong memoryMib) {

  private static final Pattern QUOTA = Pattern.compile("(\\d+) (\\d+)\\s*");

  /** Version 1 says "no limit" with a number near 2^63. */
  private static final long UNLIMITED_MIB = 1L << 40;

  static ControlGroup probe(Path root) {
    Path groups = root.resolve("sys/fs/cgroup");
    double processors = Double.POSITIVE_INFINITY;
    long memoryMib = Long.MAX_VALUE;
    for (String line : KernelFile.text(root.resolve("proc/self/cgroup")).orElse("").lines().toList()) {
      String[] parts = line.split(":", 3); // number:controllers:/path
      if (parts.length < 3) {
        continue;
      }
      List<String> controllers = List.of(parts[1].split(","));
      if (parts[1].isEmpty()) {
        for (Path group : upwards(groups, parts[2])) {
          processors = Math.min(processors, quota(group));
          memoryMib = Math.min(memoryMib, KernelFile.number(group.resolve("memory.max")).map(ControlGroup::mib).orElse(Long.MAX_VALUE));
        }
      }
      if (controllers.contains("cpu")) {
        for (Path group : upwards(groups.resolve("cpu"), parts[2])) {
          double quota = KernelFile.number(group.resolve("cpu.cfs_quota_us")).orElse(0L); // -1: none
          double period = KernelFile.number(group.resolve("cpu.cfs_period_us")).orElse(0L);
          processors = quota > 0 && period > 0 ? Math.min(processors, quota / period) : processors;
        }
      }
      if (controllers.contains("memory")) {
        for (Path group : upwards(groups.resolve("memory"), parts[2])) {
          memoryMib = Math.min(memoryMib, KernelFile.number(group.resolve("memory.limit_in_bytes")).map(ControlGroup::mib).orElse(Long.MAX_VALUE));
        }
      }
    }
    return new ControlGroup(processors < Double.POSITIVE_INFINITY ? OptionalDouble.of(processors) : OptionalDouble.empty(),
        memoryMib < UNLIMITED_MIB ? OptionalLong.of(memoryMib) : OptionalLong.empty());
  }

  private static long mib(long bytes) {
    return bytes >> 20;
  }

  private static double quota(Path group) {
    Matcher found = QUOTA.matcher(KernelFile.text(group.resolve("cpu.max")).orElse("")); // "max 100000": none
    return found.matches() ? Double.parseDouble(found.group(1)) / Double.parseDouble(found.group(2)) : Double.POSITIVE_INFINITY;
  }

  /** A group and those above it. In a container the path may be the host's, even one outside of it; then the top counts alone. */
  private static List<Path> upwards(Path top, String path) {
    List<Path> found = new ArrayList<>(List.of(top));
    for (Path group = top.resolve(path.replaceFirst("^/+", "")).normalize(); group.startsWith(top) && !group.equals(top); group = group.getParent()) {
      found.add(group);
    }
    return found;
  }
}
