package dev.coppice.child;

import dev.coppice.Coppice;
import dev.coppice.api.Image;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.Request;
import dev.coppice.api.Scheduler;
import dev.coppice.api.SchedulerOptions;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;

/**
 * The program of a JVM under libfaketime: requests with deadlines while the clock on the wall jumps, {@code BUNDLE CLOCK}. CLOCK is the
 * file that libfaketime reads; then the process is stopped for a while, as a suspended board is.
 */
public final class JumpingClock {

  private static final int REQUESTS = 20;
  private static final Image GREY = new Image(8, 8, new byte[3 * 8 * 8], 0);

  private JumpingClock() {}

  /** Prints how many requests were met at each offset of the clock. */
  public static void main(String[] arguments) throws Exception {
    Path clock = Path.of(arguments[1]);
    OpenOptions options = OpenOptions.defaults().withThreads(1);
    try (Scheduler scheduler = Coppice.schedule(Path.of(arguments[0]), options, SchedulerOptions.defaults().withCalibrationRuns(3))) {
      long offset = 0;
      for (long hours : new long[] {0, 1, -1, 24, 0}) {
        Files.writeString(clock, String.format("%+d", hours * 3600));
        awaitJump(hours - offset);
        System.out.println("hours=" + hours + " met=" + met(scheduler));
        offset = hours;
      }
      long pid = ProcessHandle.current().pid();
      new ProcessBuilder("sh", "-c", "kill -STOP " + pid + "; sleep 2; kill -CONT " + pid).start().waitFor();
      System.out.println("stopped met=" + met(scheduler));
    }
  }

  /** libfaketime looks at its file about once a second. */
  private static void awaitJump(long hours) throws InterruptedException {
    long wall = System.currentTimeMillis();
    long start = System.nanoTime();
    while (Math.round((System.currentTimeMillis() - wall - (System.nanoTime() - start) / 1e6) / 3.6e6) != hours) {
      Thread.sleep(100);
    }
  }

  private static int met(Scheduler scheduler) {
    int met = 0;
    for (int i = 0; i < REQUESTS; i++) {
      scheduler.submit(GREY, Request.within(Duration.ofSeconds(20))).join(); // a refusal ends the program
      met++;
    }
    return met;
  }
}
