package dev.coppice.child;

import dev.coppice.Coppice;
import dev.coppice.api.Classifier;
import dev.coppice.api.Image;
import dev.coppice.api.Keep;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.Request;
import dev.coppice.api.Result;
import dev.coppice.api.RunOptions;
import dev.coppice.api.Scheduler;
import dev.coppice.api.SchedulerOptions;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;

/**
 * The program of a JVM that a test pins to one processor: a camera whose frames are due when the next one comes, 1.5 times the
 * dense model's time apart. After a third of the run another process begins to compute on the same processor and takes half of
 * it. Prints how many frames were met.
 */
public final class SlowedCamera {

  private static final OpenOptions ONE_THREAD = OpenOptions.defaults().withThreads(1);
  private static final double PERIOD_OF_DENSE = 1.5;

  /** Shows a frame; whether a result was there by the deadline is added to {@code met}, by any thread. */
  private interface Shown {
    void frame(long dueNanos, Duration left);
  }

  private final Image image = new Image(320, 240, new byte[3 * 320 * 240], 0);
  private final AtomicInteger met = new AtomicInteger();
  private final Map<String, Integer> rungs = new TreeMap<>();

  private SlowedCamera() {}

  /** BUNDLE IMAGES-SECONDS adaptive|dense. */
  public static void main(String[] arguments) throws Exception {
    new SlowedCamera().run(Path.of(arguments[0]), Double.parseDouble(arguments[1]), arguments[2].equals("dense"));
  }

  private void run(Path bundle, double seconds, boolean dense) throws Exception {
    long period;
    try (Classifier classifier = Coppice.open(bundle, ONE_THREAD)) {
      RunOptions best = RunOptions.defaults().withKeep(Keep.rung(classifier.bundle().ladder().get(0).name()));
      period = (long) (PERIOD_OF_DENSE * median(classifier, best));
      if (dense) {
        film(period, seconds, (due, left) -> count(due, classifier.classify(image, best)));
      }
    }
    if (!dense) {
      try (Scheduler scheduler = Coppice.schedule(bundle, ONE_THREAD, SchedulerOptions.camera())) {
        film(period, seconds, (due, left) -> scheduler.submit(image, Request.within(left)).thenAccept(result -> count(due, result)));
      }
    }
  }

  private double median(Classifier classifier, RunOptions options) {
    double[] nanos = new double[60];
    for (int run = 0; run < nanos.length; run++) {
      long start = System.nanoTime();
      classifier.classify(image, options);
      nanos[run] = System.nanoTime() - start;
    }
    Arrays.sort(nanos, 20, nanos.length); // the first 20 warm up
    return nanos[40];
  }

  private synchronized void count(long dueNanos, Result result) {
    rungs.merge(result.rung().orElse("none"), 1, Integer::sum);
    if (System.nanoTime() - dueNanos <= 0) {
      met.incrementAndGet();
    }
  }

  /** A frame that comes while another is shown is lost, as a camera's is, and so not met. */
  private void film(long period, double seconds, Shown shown) throws Exception {
    int frames = (int) (seconds * 1e9 / period);
    long start = System.nanoTime() + period;
    Process competitor = null;
    try {
      for (int frame = 0; frame < frames; frame++) {
        if (competitor == null && frame >= frames / 3) {
          competitor = new ProcessBuilder("sh", "-c", "while :; do :; done").start();
        }
        long comes = start + frame * period;
        long late = System.nanoTime() - comes;
        if (late >= period) {
          continue; // the next one is there already
        }
        LockSupport.parkNanos(-late);
        try {
          shown.frame(comes + period, Duration.ofNanos(Math.max(1, comes + period - System.nanoTime())));
        } catch (RuntimeException refused) {
          rungs.merge("refused", 1, Integer::sum);
        }
      }
      Thread.sleep(1000);
    } finally {
      if (competitor != null) {
        competitor.destroyForcibly();
      }
    }
    System.out.printf("met=%.4f frames=%d period_ms=%.1f rungs=%s%n", (double) met.get() / frames, frames, period / 1e6, rungs);
  }
}
