package dev.coppice.latency;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;

/**
 * What measuring a sample costs by itself: found by measuring nothing.
 *
 * @param nanos a sample
 * @param bytes that a sample allocates
 */
public record OwnCost(double nanos, double bytes) {

  private static final int SAMPLES = 20_000;
  private static final Duration LONGEST = Duration.ofMillis(200); // half of the way to a reading of the sensors, which is none of it

  /** For people. */
  public String sentence() {
    return String.format(Locale.ROOT, "Measuring itself takes %.3f us and %.3g bytes of memory a sample.", nanos / 1e3, bytes);
  }

  /** Measures so many empty runs and twice as many; what does not grow with them is not a sample's. */
  static OwnCost measure(Host host) throws Exception {
    long[] nanos = new long[2];
    long[] bytes = new long[2];
    for (int times = 0; times < 3; times++) { // the first two let the JVM compile
      for (int i = 0; i < 2; i++) {
        LatencyPlan plan = LatencyPlan.defaults().withCapacity((i + 1) * SAMPLES).withDurations(LONGEST, LONGEST, LONGEST);
        Measurement empty = new Measurement(plan, Path.of(""), host, samples -> { });
        long allocated = host.allocatedBytes();
        long start = host.nanos();
        empty.sample(() -> { }, () -> null, start); // sensors are asked only if the machine stalls, and nobody looks at what they say
        nanos[i] = host.nanos() - start;
        bytes[i] = host.allocatedBytes() - allocated;
      }
    }
    return new OwnCost(nanos[1] / (2.0 * SAMPLES), Math.max(0, (bytes[1] - bytes[0]) / (double) SAMPLES));
  }
}
