package dev.coppice;

import static dev.coppice.VersionedStore.BLACK;
import static dev.coppice.VersionedStore.NAME;
import static dev.coppice.VersionedStore.OPTIONS;
import static dev.coppice.VersionedStore.await;
import static dev.coppice.VersionedStore.awaitVersion;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.coppice.api.BundleException;
import dev.coppice.api.Image;
import dev.coppice.api.Request;
import dev.coppice.api.Result;
import dev.coppice.api.Scheduler;
import dev.coppice.api.SchedulerOptions;
import dev.coppice.bundle.ShippedBundle;
import dev.coppice.bundle.SignedBundle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Flow;
import java.util.concurrent.SubmissionPublisher;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Real models in a real store, replaced under a scheduler. */
@Tag("build-machine") // a scheduler measures its rungs first
final class FollowedSchedulerTest {

  private static final Request PATIENT = Request.within(Duration.ofMinutes(1));
  private static final SchedulerOptions FEW = SchedulerOptions.defaults().withCalibrationRuns(3);

  @TempDir private Path folder;
  private VersionedStore versions;

  @BeforeEach
  void openStore() {
    versions = new VersionedStore(folder);
  }

  private Scheduler follow() {
    return Coppice.schedule(versions.store(), NAME, OPTIONS, FEW);
  }

  private static String firstLabel(CompletableFuture<Result> result) throws Exception {
    return result.get(30, TimeUnit.SECONDS).labels().get(0).name();
  }

  @Test
  void shouldFollowInstallationsAndRollbacks() throws Exception {
    versions.store().install(versions.named(0));
    try (Scheduler scheduler = follow()) {
      assertThat(firstLabel(scheduler.submit(BLACK, PATIENT))).startsWith("0 ");
      versions.store().install(versions.named(1));
      awaitVersion(scheduler::bundle, "1.1.0");
      assertThat(firstLabel(scheduler.submit(BLACK, PATIENT))).startsWith("1 ");
      versions.store().rollback(NAME);
      awaitVersion(scheduler::bundle, "1.0.0");
      assertThat(firstLabel(scheduler.submit(BLACK, PATIENT))).startsWith("0 ");
    }
  }

  @Test
  void shouldKeepWhatWaitsForTheNewVersion() throws Exception {
    versions.store().install(versions.named(0));
    try (Scheduler scheduler = follow()) {
      CompletableFuture<Void> release = SchedulerTest.occupy(scheduler, BLACK);
      CompletableFuture<Result> waiting = scheduler.submit(BLACK, PATIENT);
      versions.store().install(versions.named(1));
      awaitVersion(scheduler::bundle, "1.1.0");
      release.complete(null);
      assertThat(firstLabel(waiting)).startsWith("1 ");
    }
  }

  @Test
  void shouldNeverServeAVersionThatFailsItsTestOrItsMeasurement() throws Exception {
    versions.store().install(versions.named(0));
    try (Scheduler scheduler = follow()) {
      versions.blind().install(versions.wrong("1.1.0"));
      await(() -> versions.stored().equals("1.0.0"));
      versions.store().install(versions.failing("1.2.0"));
      await(() -> versions.stored().equals("1.0.0"));
      assertThat(scheduler.bundle().version()).isEqualTo("1.0.0");
      assertThat(firstLabel(scheduler.submit(BLACK, PATIENT))).startsWith("0 ");
    }
  }

  @Test
  void shouldDoOverWithTheVersionBeforeWhatFailsOnProbation() throws Exception {
    versions.store().install(versions.named(0));
    try (Scheduler scheduler = follow()) {
      versions.store().install(versions.moody("1.1.0"));
      awaitVersion(scheduler::bundle, "1.1.0");
      assertThat(firstLabel(scheduler.submit(BLACK, PATIENT))).startsWith("0 ");
      assertThat(scheduler.bundle().version()).isEqualTo("1.0.0");
      await(() -> versions.stored().equals("1.0.0"));
    }
  }

  @Test
  void shouldNotBlameANewVersionForRunsThatWereCancelled() throws Exception {
    Image ball = Coppice.image(ShippedBundle.golfBall());
    versions.store().install(ShippedBundle.FOLDER);
    try (Scheduler scheduler = Coppice.schedule(versions.store(), "imagenette-mini", OPTIONS.withProbation(10_000), FEW)) {
      versions.store().install(SignedBundle.version(ShippedBundle.FOLDER, folder.resolve("next"), "9.9.9"));
      awaitVersion(scheduler::bundle, "9.9.9");
      for (int i = 0; i < 200; i++) {
        CompletableFuture<Result> cancelled = scheduler.submit(ball, PATIENT);
        LockSupport.parkNanos(i * 15_000L); // before, in and after the run
        cancelled.cancel(true);
      }
      assertThat(firstLabel(scheduler.submit(ball, PATIENT))).isEqualTo("golf ball");
      assertThat(scheduler.bundle().version()).isEqualTo("9.9.9");
    }
  }

  @Test
  void shouldFlowOnThroughASwap() throws Exception {
    versions.store().install(versions.named(0));
    List<String> labels = new ArrayList<>();
    try (Scheduler scheduler = follow()) {
      Flow.Processor<Image, Result> stream = scheduler.stream(PATIENT, 1);
      CollectedResults end = new CollectedResults(Long.MAX_VALUE);
      stream.subscribe(end);
      try (SubmissionPublisher<Image> camera = new SubmissionPublisher<>()) {
        camera.subscribe(stream);
        camera.submit(BLACK);
        await(() -> end.count() == 1);
        versions.store().install(versions.named(1));
        awaitVersion(scheduler::bundle, "1.1.0");
        camera.submit(BLACK);
      }
      assertThat(end.end()).isEqualTo(2);
      end.results().forEach(result -> labels.add(result.labels().get(0).name().substring(0, 1)));
    }
    assertThat(labels).containsExactly("0", "1");
  }

  @Test
  void shouldRefuseAnAccuracyThatTheNewVersionLacks() throws Exception {
    versions.store().install(versions.named(0));
    try (Scheduler scheduler = follow()) {
      CompletableFuture<Void> release = SchedulerTest.occupy(scheduler, BLACK);
      CompletableFuture<Result> waiting = scheduler.submit(BLACK, PATIENT.withMinAccuracy(79));
      Path worse = versions.named(1);
      Files.writeString(worse.resolve("bundle.json"), Files.readString(worse.resolve("bundle.json")).replace("80.0", "78.0"));
      versions.store().install(worse);
      awaitVersion(scheduler::bundle, "1.1.0");
      release.complete(null);
      assertThatThrownBy(() -> waiting.get(30, TimeUnit.SECONDS)).isInstanceOf(ExecutionException.class).cause().isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("minAccuracy");
    }
  }

  @Test
  void shouldRefuseWithNothingToFollowAndOnceClosed() throws Exception {
    assertThatThrownBy(this::follow).isInstanceOf(BundleException.class).hasMessageContaining("no bundle \"small\" is installed");
    versions.store().install(versions.named(0));
    Scheduler scheduler = follow();
    scheduler.close();
    scheduler.close();
    assertThatThrownBy(() -> scheduler.submit(BLACK, PATIENT)).isInstanceOf(IllegalStateException.class).hasMessage("The scheduler of bundle \"small\" is closed.");
  }
}
