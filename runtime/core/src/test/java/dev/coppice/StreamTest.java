package dev.coppice;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.coppice.api.Image;
import dev.coppice.api.MetricsListener;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.Request;
import dev.coppice.api.Result;
import dev.coppice.api.Scheduler;
import dev.coppice.api.SchedulerOptions;
import dev.coppice.bundle.ShippedBundle;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Flow;
import java.util.concurrent.SubmissionPublisher;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Streams on the shipped bundle beyond the rules: frames given up, refusals, failures, many at once. */
@Tag("build-machine") // a scheduler measures its rungs first
final class StreamTest {

  private static final Image GOLF_BALL = Coppice.image(ShippedBundle.golfBall());
  private static final Request PATIENT = Request.within(Duration.ofMinutes(5));

  private final ConcurrentLinkedQueue<String> refusals = new ConcurrentLinkedQueue<>();

  private Scheduler open() {
    MetricsListener listener = new MetricsListener() {
      @Override
      public void refused(String code) {
        refusals.add(code);
      }
    };
    return Coppice.schedule(ShippedBundle.FOLDER, OpenOptions.defaults().withThreads(1).withMetrics(listener), SchedulerOptions.defaults().withCalibrationRuns(3));
  }

  /** A publisher that knows no measure. */
  private static final Flow.Subscription DEAF = new Flow.Subscription() {
    @Override
    public void request(long count) {}

    @Override
    public void cancel() {}
  };

  @Test
  void shouldGiveEightPublishersAllTheirResults() throws Exception {
    try (Scheduler scheduler = open(); var executor = new Closing(8)) {
      List<CollectedResults> ends = new ArrayList<>();
      for (int i = 0; i < 8; i++) {
        Flow.Processor<Image, Result> stream = scheduler.stream(PATIENT, 2); // 16 at once: as many as the queue holds
        CollectedResults end = new CollectedResults(Long.MAX_VALUE);
        stream.subscribe(end);
        ends.add(end);
        SubmissionPublisher<Image> camera = new SubmissionPublisher<>(executor.threads, 4);
        camera.subscribe(stream);
        executor.threads.execute(() -> {
          for (int frame = 0; frame < 25; frame++) {
            camera.submit(GOLF_BALL);
          }
          camera.close();
        });
      }
      for (CollectedResults end : ends) {
        assertThat(end.end()).isEqualTo(25);
      }
    }
    assertThat(refusals).isEmpty();
  }

  /** Threads for publishers; SubmissionPublisher needs one each. */
  private record Closing(java.util.concurrent.ExecutorService threads) implements AutoCloseable {
    Closing(int publishers) {
      this(Executors.newFixedThreadPool(2 * publishers));
    }

    @Override
    public void close() {
      threads.shutdownNow();
    }
  }

  @Test
  void shouldRunNothingThatNobodyAsksFor() throws Exception {
    try (Scheduler scheduler = open()) {
      Flow.Processor<Image, Result> stream = scheduler.newestFrames(PATIENT);
      CollectedResults end = new CollectedResults(0);
      stream.subscribe(end);
      stream.onSubscribe(DEAF);
      for (int frame = 0; frame < 5; frame++) {
        stream.onNext(GOLF_BALL);
      }
      stream.onComplete();
      assertThat(refusals).containsOnly("overload.superseded").hasSize(4);
      end.subscription().request(3);
      assertThat(end.end()).isOne();
    }
  }

  @Test
  void shouldRefuseAPublisherThatDoesNotHeedItsMeasure() {
    try (Scheduler scheduler = open()) {
      Flow.Processor<Image, Result> stream = scheduler.stream(PATIENT, 1);
      CollectedResults end = new CollectedResults(0);
      stream.subscribe(end);
      stream.onSubscribe(DEAF);
      stream.onNext(GOLF_BALL);
      assertThatThrownBy(end::end).isInstanceOf(ExecutionException.class).hasMessageContaining("more images than it was asked for");
    }
  }

  @Test
  void shouldLeaveOutWhatIsRefusedAndGoOn() throws Exception {
    try (Scheduler scheduler = open()) {
      Flow.Processor<Image, Result> stream = scheduler.stream(Request.within(Duration.ofNanos(1000)), 1);
      CollectedResults end = new CollectedResults(Long.MAX_VALUE);
      stream.subscribe(end);
      try (SubmissionPublisher<Image> camera = new SubmissionPublisher<>()) {
        camera.subscribe(stream);
        camera.submit(GOLF_BALL);
        camera.submit(GOLF_BALL);
      }
      assertThat(end.end()).isZero();
      assertThat(refusals).hasSize(2).allMatch(code -> code.startsWith("deadline."));
    }
  }

  @Test
  void shouldFailOnceWhenTheSchedulerCloses() {
    Scheduler scheduler = open();
    Flow.Processor<Image, Result> stream = scheduler.newestFrames(PATIENT);
    CollectedResults end = new CollectedResults(Long.MAX_VALUE);
    stream.subscribe(end);
    stream.onSubscribe(DEAF);
    scheduler.close();
    stream.onNext(GOLF_BALL);
    stream.onNext(GOLF_BALL);
    assertThatThrownBy(end::end).isInstanceOf(ExecutionException.class).cause().isInstanceOf(IllegalStateException.class).hasMessageContaining("is closed");
  }

  @Test
  void shouldGiveNothingAfterItIsCancelled() throws Exception {
    try (Scheduler scheduler = open()) {
      Flow.Processor<Image, Result> stream = scheduler.newestFrames(PATIENT);
      CollectedResults end = new CollectedResults(Long.MAX_VALUE);
      stream.subscribe(end);
      stream.onSubscribe(DEAF);
      stream.onNext(GOLF_BALL);
      end.subscription().cancel();
      int count = end.count();
      stream.onNext(GOLF_BALL);
      stream.onComplete();
      scheduler.submit(GOLF_BALL, PATIENT).get(); // after what the stream had there
      assertThat(end.count()).isEqualTo(count);
      assertThat(end.ended()).isFalse();
    }
  }

  @Test
  void shouldRefuseAStreamThatCanGiveNothing() {
    try (Scheduler scheduler = open()) {
      assertThatThrownBy(() -> scheduler.stream(PATIENT.withMinAccuracy(99.9), 1)).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("minAccuracy");
      assertThatThrownBy(() -> scheduler.stream(PATIENT, 0)).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("atOnce");
    }
  }
}
