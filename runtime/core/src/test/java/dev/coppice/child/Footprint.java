package dev.coppice.child;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/** What a JVM holds: KiB of resident memory, open files, threads, KiB of direct buffers. */
public record Footprint(long residentKib, long files, long threads, long directKib) {

  /** A heap that is touched at the start and compilers that stay: their coming and going would look like a leak. */
  public static ChildJvm steady(ChildJvm jvm) {
    return jvm.withOption("-Xmx64m").withOption("-Xms64m").withOption("-XX:+AlwaysPreTouch").withOption("-XX:-UseDynamicNumberOfCompilerThreads");
  }

  /** Of this JVM, after the collector: what only waits for it, as a closed bundle's direct buffers do, is no leak. */
  public static Footprint now() throws Exception {
    System.gc();
    Thread.sleep(5);
    return new Footprint(statusKibibytes("VmRSS"), entries("/proc/self/fd"), entries("/proc/self/task"), directKibibytes());
  }

  /** Reads the first four numbers of a line. */
  public static Footprint parse(String line) {
    long[] values = Stream.of(line.split(" ")).mapToLong(Long::parseLong).toArray();
    return new Footprint(values[0], values[1], values[2], values[3]);
  }

  /** The line that {@link #parse} reads. */
  @Override
  public String toString() {
    return residentKib + " " + files + " " + threads + " " + directKib;
  }

  /** A number of /proc/self/status, such as {@code VmRSS}, resident memory, or {@code VmHWM}, the most there has been; KiB. */
  public static long statusKibibytes(String key) throws IOException {
    return Files.readAllLines(Path.of("/proc/self/status")).stream().filter(line -> line.startsWith(key + ":"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", ""))).findFirst().orElseThrow();
  }

  private static long entries(String folder) throws IOException {
    try (Stream<Path> files = Files.list(Path.of(folder))) {
      return files.count();
    }
  }

  /** By reflection: the module under test has no need of java.management. */
  private static long directKibibytes() throws ReflectiveOperationException {
    Class<?> pool = Class.forName("java.lang.management.BufferPoolMXBean");
    for (Object bean : (Iterable<?>) Class.forName("java.lang.management.ManagementFactory").getMethod("getPlatformMXBeans", Class.class).invoke(null, pool)) {
      if (pool.getMethod("getName").invoke(bean).equals("direct")) {
        return (long) pool.getMethod("getMemoryUsed").invoke(bean) / 1024;
      }
    }
    throw new IllegalStateException("no pool of direct buffers");
  }
}
