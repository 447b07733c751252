package dev.coppice;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.coppice.api.BundleInfo;
import dev.coppice.api.Classifier;
import dev.coppice.api.CoppiceException;
import dev.coppice.api.Image;
import dev.coppice.api.Keep;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.Request;
import dev.coppice.api.Result;
import dev.coppice.api.RunOptions;
import dev.coppice.api.Scheduler;
import dev.coppice.api.SchedulerOptions;
import dev.coppice.bundle.ShippedBundle;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Five times the work that can be done, arriving at random whatever becomes of it: shipped bundles on the real engine. */
@Tag("build-machine") // an emulator's time means nothing
@Tag("scaled")
final class OverloadTest {

  private static final Image GOLF_BALL = Coppice.image(ShippedBundle.golfBall());

  /** One request: when it should have been sent, and when and how it ended. */
  private static final class Sent {
    final long intendedNanos;
    volatile long endedNanos;
    volatile Result result; // null: refused

    Sent(long intendedNanos) {
      this.intendedNanos = intendedNanos;
    }

    long latencyNanos() {
      return endedNanos - intendedNanos;
    }
  }

  /** Sends at a Poisson process's times; a sender that is late does not wait longer for it. */
  private static List<Sent> send(Scheduler scheduler, double perSecond, double seconds, Duration deadline) throws Exception {
    Random random = new Random(12);
    List<Sent> all = new ArrayList<>();
    List<CompletableFuture<?>> ends = new ArrayList<>();
    long start = System.nanoTime();
    for (double at = 0; at < seconds; at -= Math.log(1 - random.nextDouble()) / perSecond) {
      Sent sent = new Sent(start + (long) (at * 1e9));
      for (long early = sent.intendedNanos - System.nanoTime(); early > 0; early = sent.intendedNanos - System.nanoTime()) {
        LockSupport.parkNanos(early);
      }
      all.add(sent);
      try {
        ends.add(scheduler.submit(GOLF_BALL, Request.within(deadline)).handle((result, refusal) -> {
          sent.result = result;
          sent.endedNanos = System.nanoTime();
          return null;
        }));
      } catch (CoppiceException refused) {
        sent.endedNanos = System.nanoTime();
      }
    }
    CompletableFuture.allOf(ends.toArray(CompletableFuture[]::new)).get(60, TimeUnit.SECONDS);
    return all;
  }

  private static double p99(List<Sent> sent) {
    long[] sorted = sent.stream().mapToLong(Sent::latencyNanos).sorted().toArray();
    return sorted.length == 0 ? 0 : sorted[(int) Math.ceil(0.99 * sorted.length) - 1] / 1e6;
  }

  /** What a flood and the time after it gave; the capacity is what the flood's own runs say. */
  private record Outcome(double deadlineMillis, int sent, double late, double acceptedP99, double refusedP99, double goodputOfCapacity, double onTimeAfterwards, double betterAfterwards) {}

  private static Outcome flood(Path bundle, double seconds, double runsInDeadline) throws Exception {
    try (Scheduler scheduler = Coppice.schedule(bundle, OpenOptions.defaults().withThreads(1), SchedulerOptions.defaults())) {
      String lowest = lowest(scheduler.bundle());
      double fastest = fastestNanos(bundle);
      Duration deadline = Duration.ofNanos((long) (runsInDeadline * fastest));
      List<Sent> flood = send(scheduler, 5e9 / fastest, seconds, deadline);
      List<Sent> after = send(scheduler, 0.2e9 / fastest, 2, deadline);
      List<Sent> accepted = flood.stream().filter(sent -> sent.result != null).toList();
      List<Sent> refused = flood.stream().filter(sent -> sent.result == null).toList();
      long onTime = accepted.stream().filter(sent -> sent.latencyNanos() <= deadline.toNanos()).count();
      double service = accepted.stream().mapToLong(sent -> sent.result.timings().total() - sent.result.timings().decode()).average().orElseThrow();
      List<Sent> normal = after.stream().filter(sent -> sent.intendedNanos - after.get(0).intendedNanos > 1_000_000_000).toList();
      List<Sent> met = normal.stream().filter(sent -> sent.result != null && sent.latencyNanos() <= deadline.toNanos()).toList();
      double better = met.stream().filter(sent -> !sent.result.rung().orElseThrow().equals(lowest)).count();
      return new Outcome(deadline.toNanos() / 1e6, flood.size(), 1 - (double) onTime / accepted.size(), p99(accepted), p99(refused), onTime * service / (seconds * 1e9),
          (double) met.size() / normal.size(), better / normal.size());
    }
  }

  private static String lowest(BundleInfo bundle) {
    return bundle.ladder().get(bundle.ladder().size() - 1).name();
  }

  private static double fastestNanos(Path bundle) {
    try (Classifier classifier = Coppice.open(bundle, OpenOptions.defaults().withThreads(1))) {
      RunOptions options = RunOptions.defaults().withKeep(Keep.rung(lowest(classifier.bundle())));
      double[] nanos = new double[200];
      for (int run = 0; run < nanos.length; run++) {
        long start = System.nanoTime();
        classifier.classify(GOLF_BALL, options);
        nanos[run] = System.nanoTime() - start;
      }
      Arrays.sort(nanos);
      return nanos[nanos.length / 2];
    }
  }

  @Test
  void shouldServeAFloodAndBeNormalAfterIt() throws Exception {
    Outcome found = flood(ShippedBundle.FOLDER, 2, 500); // generous: a busy build machine stops a thread for tens of milliseconds
    assertThat(found.late()).as("%s", found).isLessThanOrEqualTo(0.05);
    assertThat(found.onTimeAfterwards()).as("%s", found).isGreaterThanOrEqualTo(0.9);
  }

  @Test
  void shouldUseNineTenthsOfItsCapacityAndRefuseAtOnce() throws Exception {
    assumeThat(Integer.getInteger("coppice.stress", 1)).as("times of a quiet machine: make stress").isGreaterThan(1);
    String bundle = System.getenv("COPPICE_STRESS_BUNDLE"); // rungs that differ in time, the slower the more accurate
    assumeThat(bundle).as("COPPICE_STRESS_BUNDLE, a bundle's folder").isNotNull();
    Outcome found = flood(Path.of(bundle), 20, 12);
    System.out.println(found);
    assertThat(found.acceptedP99()).isLessThanOrEqualTo(found.deadlineMillis());
    assertThat(found.refusedP99()).isLessThanOrEqualTo(5);
    assertThat(found.goodputOfCapacity()).isGreaterThanOrEqualTo(0.9);
    assertThat(found.onTimeAfterwards()).isGreaterThanOrEqualTo(0.99);
    assertThat(found.betterAfterwards()).isGreaterThanOrEqualTo(0.99);
  }
}
