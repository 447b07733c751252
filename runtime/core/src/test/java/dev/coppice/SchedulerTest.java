package dev.coppice;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.coppice.api.DeadlineException;
import dev.coppice.api.Image;
import dev.coppice.api.Lane;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.OverloadException;
import dev.coppice.api.Request;
import dev.coppice.api.Result;
import dev.coppice.api.Scheduler;
import dev.coppice.api.SchedulerOptions;
import dev.coppice.bundle.ShippedBundle;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Requests with deadlines on the shipped bundle and the real engine. */
@Tag("build-machine") // a scheduler measures its rungs first, for half a minute on an emulated core; CoppiceTest has one
final class SchedulerTest {

  private static final Duration LONG = Duration.ofSeconds(60);
  private static final Image GOLF_BALL = Coppice.image(ShippedBundle.golfBall());

  private static Scheduler open(SchedulerOptions options) {
    return Coppice.schedule(ShippedBundle.FOLDER, OpenOptions.defaults().withThreads(1), options.withCalibrationRuns(5));
  }

  /** Work that keeps the scheduler's thread busy until the returned future is completed. */
  private static CompletableFuture<Void> occupy(Scheduler scheduler) throws Exception {
    return occupy(scheduler, GOLF_BALL);
  }

  static CompletableFuture<Void> occupy(Scheduler scheduler, Image image) throws Exception {
    Thread caller = Thread.currentThread();
    while (true) {
      CompletableFuture<Boolean> begun = new CompletableFuture<>();
      CompletableFuture<Void> release = new CompletableFuture<>();
      scheduler.submit(image, Request.within(LONG).withLane(Lane.URGENT)).thenRun(() -> {
        boolean inTime = Thread.currentThread() != caller; // else the run was over before it was told to wait
        begun.complete(inTime);
        if (inTime) {
          release.join();
        }
      });
      if (begun.get(30, TimeUnit.SECONDS)) {
        return release;
      }
    }
  }

  @Test
  void shouldRefuseBeforeTheRunWhatCannotBeDoneInTime() {
    try (Scheduler scheduler = open(SchedulerOptions.defaults())) {
      CompletableFuture<Result> result = scheduler.submit(GOLF_BALL, Request.within(Duration.ofNanos(20_000)));
      assertThatThrownBy(() -> result.get(30, TimeUnit.SECONDS)).isInstanceOf(ExecutionException.class).cause().isInstanceOf(DeadlineException.class)
          .hasMessageContaining("nothing was run").hasMessageContaining("imagenette-mini");
    }
  }

  @Test
  void shouldRefuseAtOnceWhatTheQueueLeavesNoTimeFor() throws Exception {
    try (Scheduler scheduler = open(SchedulerOptions.defaults())) {
      CompletableFuture<Void> release = occupy(scheduler);
      scheduler.submit(GOLF_BALL, Request.within(LONG).withLane(Lane.URGENT));
      assertThatThrownBy(() -> scheduler.submit(GOLF_BALL, Request.within(Duration.ofNanos(50_000)))).isInstanceOf(DeadlineException.class)
          .hasMessageContaining("leaves no time");
      release.complete(null);
    }
  }

  @Test
  void shouldRefuseMoreThanItsQueueHolds() throws Exception {
    try (Scheduler scheduler = open(SchedulerOptions.defaults().withCapacity(2))) {
      CompletableFuture<Void> release = occupy(scheduler);
      scheduler.submit(GOLF_BALL, Request.within(LONG));
      scheduler.submit(GOLF_BALL, Request.within(LONG));
      assertThatThrownBy(() -> scheduler.submit(GOLF_BALL, Request.within(LONG))).isInstanceOf(OverloadException.class).hasMessageContaining("2 requests waiting");
      release.complete(null);
    }
  }

  @Test
  void shouldGiveACameraItsNewestFrame() throws Exception {
    try (Scheduler scheduler = open(SchedulerOptions.camera())) {
      CompletableFuture<Void> release = occupy(scheduler);
      List<CompletableFuture<Result>> frames = new ArrayList<>();
      for (int frame = 0; frame < 3; frame++) {
        frames.add(scheduler.submit(GOLF_BALL, Request.within(LONG)));
      }
      release.complete(null);
      assertThat(frames.get(2).get(30, TimeUnit.SECONDS).labels()).isNotEmpty();
      assertThat(frames.subList(0, 2)).allSatisfy(frame -> assertThatThrownBy(frame::join).isInstanceOf(CompletionException.class).cause()
          .isInstanceOf(OverloadException.class).hasMessageContaining("newer"));
    }
  }

  @Test
  void shouldServeUrgentWorkFirst() throws Exception {
    List<String> order = Collections.synchronizedList(new ArrayList<>());
    try (Scheduler scheduler = open(SchedulerOptions.defaults())) {
      CompletableFuture<Void> release = occupy(scheduler);
      CompletableFuture<?> last = scheduler.submit(GOLF_BALL, Request.within(LONG).withLane(Lane.BACKGROUND)).thenRun(() -> order.add("background"));
      scheduler.submit(GOLF_BALL, Request.within(LONG)).thenRun(() -> order.add("normal"));
      scheduler.submit(GOLF_BALL, Request.within(LONG).withLane(Lane.URGENT)).thenRun(() -> order.add("urgent"));
      release.complete(null);
      last.get(30, TimeUnit.SECONDS);
    }
    assertThat(order).containsExactly("urgent", "normal", "background");
  }

  @Test
  void shouldFreeThePlaceOfCancelledWork() throws Exception {
    try (Scheduler scheduler = open(SchedulerOptions.defaults().withCapacity(1))) {
      CompletableFuture<Void> release = occupy(scheduler);
      CompletableFuture<Result> first = scheduler.submit(GOLF_BALL, Request.within(LONG));
      first.cancel(false);
      CompletableFuture<Result> second = scheduler.submit(GOLF_BALL, Request.within(LONG));
      release.complete(null);
      assertThat(second.get(30, TimeUnit.SECONDS).labels()).isNotEmpty();
      assertThatThrownBy(first::join).isInstanceOf(CancellationException.class);
    }
  }

  @Test
  void shouldGoOnAfterManyCancelledRuns() throws Exception {
    try (Scheduler scheduler = open(SchedulerOptions.defaults())) {
      for (int i = 0; i < 300; i++) {
        CompletableFuture<Result> cancelled = scheduler.submit(GOLF_BALL, Request.within(LONG));
        LockSupport.parkNanos(i * 10_000L); // before, in and after the run
        cancelled.cancel(true);
      }
      assertThat(scheduler.submit(GOLF_BALL, Request.within(LONG)).get(30, TimeUnit.SECONDS).labels().get(0).name()).isEqualTo("golf ball");
    }
  }

  @Test
  void shouldFailWhatWaitsWhenItCloses() throws Exception {
    Scheduler scheduler = open(SchedulerOptions.defaults());
    CompletableFuture<Void> release = occupy(scheduler);
    CompletableFuture<Result> waiting = scheduler.submit(GOLF_BALL, Request.within(LONG));
    CompletableFuture<Void> closing = CompletableFuture.runAsync(scheduler::close);
    assertThatThrownBy(() -> waiting.get(30, TimeUnit.SECONDS)).cause().isInstanceOf(IllegalStateException.class).hasMessageContaining("is closed");
    release.complete(null);
    closing.get(30, TimeUnit.SECONDS);
    scheduler.close();
    assertThatThrownBy(() -> scheduler.submit(GOLF_BALL, Request.within(LONG))).isInstanceOf(IllegalStateException.class).hasMessageContaining("is closed");
  }

  @Test
  void shouldCloseFromItsOwnCallback() throws Exception {
    Scheduler scheduler = open(SchedulerOptions.defaults());
    scheduler.submit(GOLF_BALL, Request.within(LONG)).thenRun(scheduler::close).get(30, TimeUnit.SECONDS);
  }

  @Test
  void shouldRefuseAnAccuracyThatNoRungHas() {
    try (Scheduler scheduler = open(SchedulerOptions.defaults())) {
      assertThatThrownBy(() -> scheduler.submit(GOLF_BALL, Request.within(LONG).withMinAccuracy(99))).isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("minAccuracy");
    }
  }
}
