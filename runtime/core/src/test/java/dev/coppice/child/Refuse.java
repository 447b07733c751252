package dev.coppice.child;

import dev.coppice.Coppice;
import dev.coppice.api.Image;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.Request;
import dev.coppice.api.Scheduler;
import dev.coppice.api.SchedulerOptions;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CompletionException;

/** The program of a JVM that a test starts: one request that no rung can serve in time. */
public final class Refuse {

  private Refuse() {}

  /** Exit code 0 if it was refused. */
  public static void main(String[] arguments) {
    SchedulerOptions options = SchedulerOptions.defaults().withCalibrationRuns(3);
    try (Scheduler scheduler = Coppice.schedule(Path.of(System.getProperty("coppice.bundle")), OpenOptions.defaults().withThreads(1), options)) {
      scheduler.submit(new Image(1, 1, new byte[3], 0), Request.within(Duration.ofNanos(20_000))).join();
      System.exit(1);
    } catch (CompletionException refused) {
      System.exit(0);
    }
  }
}
