package dev.coppice.child;

import dev.coppice.Coppice;
import dev.coppice.api.Classifier;
import dev.coppice.api.Image;
import dev.coppice.api.NativeException;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.Request;
import dev.coppice.api.Scheduler;
import dev.coppice.api.SchedulerOptions;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;

/**
 * The program of a JVM in which threads classify, cancel and close at once: {@code BUNDLE THREADS ACTIONS SEED}. An action is a run, a cancelled
 * request, or the closing of what the others use, after which a new one is opened.
 */
public final class Race {

  private static final Image GREY = new Image(8, 8, new byte[3 * 8 * 8], 0);

  private final Path bundle;
  private final AtomicInteger left;
  private final AtomicInteger ran = new AtomicInteger();
  private final AtomicInteger closed = new AtomicInteger();
  private volatile Classifier classifier;
  private volatile Scheduler scheduler;

  private Race(Path bundle, int actions) {
    this.bundle = bundle;
    this.left = new AtomicInteger(actions);
    classifier = openClassifier();
    scheduler = openScheduler();
  }

  /** Exit code 0: every action ended as it may. */
  public static void main(String[] arguments) throws InterruptedException {
    Race race = new Race(Path.of(arguments[0]), Integer.parseInt(arguments[2]));
    long seed = Long.parseLong(arguments[3]);
    List<Thread> threads = new ArrayList<>();
    AtomicInteger broken = new AtomicInteger();
    for (int i = 0; i < Integer.parseInt(arguments[1]); i++) {
      Random random = new Random(seed + i);
      Thread thread = new Thread(() -> race.work(random));
      thread.setUncaughtExceptionHandler((t, e) -> {
        e.printStackTrace(System.out);
        broken.incrementAndGet();
      });
      thread.start();
      threads.add(thread);
    }
    for (Thread thread : threads) {
      thread.join();
    }
    race.classifier.close();
    race.scheduler.close();
    System.out.println("ran=" + (race.ran.get() > 0) + " closed=" + (race.closed.get() > 0));
    System.exit(broken.get() == 0 ? 0 : 1);
  }

  private static OpenOptions options() {
    return OpenOptions.defaults().withThreads(1).withCloseLimit(Duration.ZERO);
  }

  private Classifier openClassifier() {
    return Coppice.open(bundle, options());
  }

  private Scheduler openScheduler() {
    return Coppice.schedule(bundle, options(), SchedulerOptions.defaults().withCalibrationRuns(3));
  }

  private void work(Random random) {
    while (left.getAndDecrement() > 0) {
      int action = random.nextInt(200);
      try {
        if (action == 0) {
          closed.incrementAndGet();
          Classifier old = classifier;
          LockSupport.parkNanos(random.nextInt(300_000)); // anywhere in a run
          old.close();
          classifier = openClassifier();
        } else if (action == 1) {
          Scheduler old = scheduler;
          old.close();
          scheduler = openScheduler();
        } else if (action < 40) {
          CompletableFuture<?> future = scheduler.submit(GREY, Request.within(Duration.ofSeconds(10)));
          LockSupport.parkNanos(random.nextInt(300_000));
          future.cancel(true);
        } else {
          classifier.classify(GREY);
          ran.incrementAndGet();
        }
      } catch (IllegalStateException closedMeanwhile) {
        Thread.onSpinWait();
      } catch (dev.coppice.api.OverloadException | dev.coppice.api.DeadlineException refused) {
        Thread.yield();
      } catch (NativeException ended) {
        if (!ended.code().equals("native.ended")) {
          throw ended;
        }
      }
    }
  }
}
