package dev.coppice.child;

import dev.coppice.Coppice;
import dev.coppice.api.Classifier;
import dev.coppice.api.Image;
import dev.coppice.api.Keep;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.RunOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Stream;

/**
 * The program of a JVM that classifies for long and opens its bundle anew now and then: {@code BUNDLE RUNS RELOAD_EVERY}. It prints a hundred lines
 * {@code RSS_KIB FDS THREADS DIRECT_KIB P99_NANOS}, one a hundredth of the runs.
 */
public final class Soak {

  private Soak() {}

  public static void main(String[] arguments) throws Exception {
    Path bundle = Path.of(arguments[0]);
    int part = Integer.parseInt(arguments[1]) / 100;
    int every = Integer.parseInt(arguments[2]);
    OpenOptions options = OpenOptions.defaults().withThreads(1);
    RunOptions few = RunOptions.defaults().withKeep(Keep.counts(1, 1));
    Image grey = new Image(64, 48, new byte[3 * 64 * 48], 0);
    Classifier classifier = Coppice.open(bundle, options);
    long[] nanos = new long[part];
    for (int line = 0; line < 100; line++) {
      for (int i = 0; i < part; i++) {
        if ((line * part + i) % every == every - 1) {
          classifier.close();
          classifier = Coppice.open(bundle, options);
        }
        long start = System.nanoTime();
        classifier.classify(grey, few);
        nanos[i] = System.nanoTime() - start;
      }
      Arrays.sort(nanos);
      System.gc(); // what only waits for the collector is no leak: cleaners of direct buffers run now
      Thread.sleep(5);
      System.out.println(status("VmRSS") + " " + entries("/proc/self/fd") + " " + entries("/proc/self/task") + " " + directKib() + " " + nanos[part * 99 / 100]);
    }
    classifier.close();
  }

  private static long status(String key) throws IOException {
    return Files.readAllLines(Path.of("/proc/self/status")).stream().filter(line -> line.startsWith(key + ":"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", ""))).findFirst().orElseThrow();
  }

  private static long entries(String folder) throws IOException {
    try (Stream<Path> files = Files.list(Path.of(folder))) {
      return files.count();
    }
  }

  /** By reflection: the module under test has no need of java.management. */
  private static long directKib() throws ReflectiveOperationException {
    Class<?> pool = Class.forName("java.lang.management.BufferPoolMXBean");
    for (Object bean : (Iterable<?>) Class.forName("java.lang.management.ManagementFactory").getMethod("getPlatformMXBeans", Class.class).invoke(null, pool)) {
      if (pool.getMethod("getName").invoke(bean).equals("direct")) {
        return (long) pool.getMethod("getMemoryUsed").invoke(bean) / 1024;
      }
    }
    throw new IllegalStateException("no pool of direct buffers");
  }
}
