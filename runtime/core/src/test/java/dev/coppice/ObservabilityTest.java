package dev.coppice;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.coppice.api.Classifier;
import dev.coppice.api.DeadlineException;
import dev.coppice.api.Image;
import dev.coppice.api.Keep;
import dev.coppice.api.MetricsListener;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.Request;
import dev.coppice.api.Result;
import dev.coppice.api.RunOptions;
import dev.coppice.api.Scheduler;
import dev.coppice.api.SchedulerOptions;
import dev.coppice.bundle.ShippedBundle;
import dev.coppice.child.ChildJvm;
import dev.coppice.child.Refuse;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What metrics, flight recorder and log are told of real runs. */
@Tag("build-machine") // a scheduler measures its rungs first, which an emulated core does for half a minute
final class ObservabilityTest {

  private static final Image GOLF_BALL = Coppice.image(ShippedBundle.golfBall());
  private static final OpenOptions ONE_THREAD = OpenOptions.defaults().withThreads(1);

  @TempDir private Path folder;

  /** Keeps what it was told. */
  private static final class Heard implements MetricsListener {
    final List<Integer> depths = new ArrayList<>();
    final List<Result> results = new ArrayList<>();
    final List<Double> ratios = new ArrayList<>();
    final List<Long> spares = new ArrayList<>();
    final List<String> codes = new ArrayList<>();

    @Override
    public synchronized void queued(int depth) {
      depths.add(depth);
    }

    @Override
    public synchronized void ran(Result result, long queueNanos, long spareNanos, double keepRatio, double celsius) {
      assertThat(queueNanos).isNotNegative();
      results.add(result);
      ratios.add(keepRatio);
      spares.add(spareNanos);
    }

    @Override
    public synchronized void refused(String code) {
      codes.add(code);
    }
  }

  private static Scheduler schedule(OpenOptions options) {
    return Coppice.schedule(ShippedBundle.FOLDER, options, SchedulerOptions.defaults().withCalibrationRuns(3));
  }

  @Test
  void shouldTellMetricsOfEveryRunAndRefusal() throws Exception {
    Heard heard = new Heard();
    Result result;
    try (Scheduler scheduler = schedule(ONE_THREAD.withMetrics(heard))) {
      result = scheduler.submit(GOLF_BALL, Request.within(Duration.ofSeconds(30))).get(30, TimeUnit.SECONDS);
      assertThatThrownBy(() -> scheduler.submit(GOLF_BALL, Request.within(Duration.ofNanos(20_000))).get(30, TimeUnit.SECONDS))
          .satisfiesAnyOf(failure -> assertThat(failure).isInstanceOf(DeadlineException.class), failure -> assertThat(failure).hasCauseInstanceOf(DeadlineException.class));
    }
    assertThat(heard.results).containsExactly(result);
    assertThat(heard.ratios).containsExactly(result.keep().get(1) / 100.0);
    assertThat(heard.spares.get(0)).isBetween(1L, 30_000_000_000L);
    assertThat(heard.codes).singleElement().asString().startsWith("deadline.");
  }

  @Test
  void shouldTellMetricsHowManyWait() throws Exception {
    Heard heard = new Heard();
    try (Scheduler scheduler = schedule(ONE_THREAD.withMetrics(heard))) {
      // Many: the worker may have taken one before its submission has been told.
      List<CompletableFuture<Result>> results = Stream.generate(() -> scheduler.submit(GOLF_BALL, Request.within(Duration.ofSeconds(30)))).limit(8).toList();
      for (CompletableFuture<Result> result : results) {
        result.get(30, TimeUnit.SECONDS);
      }
    }
    assertThat(heard.depths).contains(0).anySatisfy(depth -> assertThat(depth).isPositive());
  }

  @Test
  void shouldTellMetricsOfAClassifierWithoutDeadlines() {
    Heard heard = new Heard();
    try (Classifier classifier = Coppice.open(ShippedBundle.FOLDER, ONE_THREAD.withMetrics(heard))) {
      classifier.classify(GOLF_BALL, RunOptions.defaults().withKeep(Keep.rung("low")));
    }
    assertThat(heard.ratios).containsExactly(0.25);
    assertThat(heard.spares).containsExactly(Long.MAX_VALUE);
  }

  @Test
  void shouldGoOnWithAListenerThatFails() throws Exception {
    MetricsListener broken = new MetricsListener() {
      @Override
      public void queued(int depth) {
        throw new IllegalStateException("broken");
      }

      @Override
      public void ran(Result result, long queueNanos, long spareNanos, double keepRatio, double celsius) {
        throw new IllegalStateException("broken");
      }
    };
    try (Scheduler scheduler = schedule(ONE_THREAD.withMetrics(broken))) {
      for (int i = 0; i < 2; i++) {
        assertThat(scheduler.submit(GOLF_BALL, Request.within(Duration.ofSeconds(30))).get(30, TimeUnit.SECONDS).labels()).isNotEmpty();
      }
    }
  }

  @Test
  void shouldRecordEveryInferenceForTheFlightRecorder() throws Exception {
    Result first;
    Result second;
    Path file = folder.resolve("flight.jfr");
    try (Recording recording = new Recording(); Classifier classifier = Coppice.open(ShippedBundle.FOLDER, ONE_THREAD)) {
      recording.enable("coppice.Inference");
      recording.start();
      first = classifier.classify(GOLF_BALL, RunOptions.defaults().withKeep(Keep.rung("high")));
      second = classifier.classify(GOLF_BALL, RunOptions.defaults().withKeep(Keep.counts(37, 11)));
      recording.stop();
      classifier.classify(GOLF_BALL);
      recording.dump(file);
    }
    List<RecordedEvent> events = inferences(file);
    assertThat(events).hasSize(2);
    assertRecorded(events.get(0), first, "high");
    assertRecorded(events.get(1), second, null);
  }

  private static List<RecordedEvent> inferences(Path file) throws IOException {
    return RecordingFile.readAllEvents(file).stream().filter(event -> event.getEventType().getName().equals("coppice.Inference")).toList();
  }

  private static void assertRecorded(RecordedEvent event, Result result, String rung) {
    assertThat(event.getString("bundle")).isEqualTo("imagenette-mini");
    assertThat(event.getString("rung")).isEqualTo(rung);
    assertThat(event.getDuration("preprocess").toNanos()).isEqualTo(result.timings().preprocess());
    assertThat(event.getDuration("run").toNanos()).isEqualTo(result.timings().run());
    assertThat(event.getDuration("rank").toNanos()).isEqualTo(result.timings().rank());
    assertThat(event.getDuration("queue")).isGreaterThanOrEqualTo(Duration.ZERO);
    assertThat(event.getDouble("temperature")).isNaN();
    assertThat(event.getDuration()).isGreaterThan(event.getDuration("run"));
  }

  @Test
  void shouldRecordHowLongARequestWaited() throws Exception {
    Path file = folder.resolve("flight.jfr");
    Duration between; // the first may be running by the time the second is there
    try (Recording recording = new Recording(); Scheduler scheduler = schedule(ONE_THREAD)) {
      recording.enable("coppice.Inference");
      recording.start();
      long begun = System.nanoTime();
      var first = scheduler.submit(GOLF_BALL, Request.within(Duration.ofSeconds(30)));
      var second = scheduler.submit(GOLF_BALL, Request.within(Duration.ofSeconds(30)));
      between = Duration.ofNanos(System.nanoTime() - begun);
      first.get(30, TimeUnit.SECONDS);
      second.get(30, TimeUnit.SECONDS);
      recording.stop();
      recording.dump(file);
    }
    List<RecordedEvent> events = inferences(file);
    assertThat(events).hasSize(2);
    assertThat(events.get(1).getDuration("queue").plus(between)).isGreaterThan(events.get(0).getDuration("run"));
  }

  @Test
  @Tag("child-jvm")
  void shouldLogWhatHappensOnceAtInfoAndEveryRefusalAtDebug() throws Exception {
    String info = new ChildJvm().running(Refuse.class).with("org.slf4j.simpleLogger.defaultLogLevel", "info").with("coppice.bundle", ShippedBundle.FOLDER).run().output();
    assertThat(info).contains("INFO dev.coppice.pipeline.Telemetry - bundle imagenette-mini 1.0.0 is open: 5 rungs, float32",
        "INFO dev.coppice.pipeline.Telemetry - bundle imagenette-mini is closed").doesNotContain("DEBUG", "refused", ShippedBundle.FOLDER.toString());
    String debug = new ChildJvm().running(Refuse.class).with("org.slf4j.simpleLogger.defaultLogLevel", "debug").with("coppice.bundle", ShippedBundle.FOLDER).run().output();
    assertThat(debug).containsPattern("DEBUG dev.coppice.pipeline.Telemetry - bundle imagenette-mini: refused, deadline\\.(late|passed): Bundle");
  }
}
