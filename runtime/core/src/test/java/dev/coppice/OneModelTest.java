package dev.coppice;

import static dev.coppice.VersionedStore.BLACK;
import static dev.coppice.VersionedStore.NAME;
import static dev.coppice.VersionedStore.OPTIONS;
import static dev.coppice.VersionedStore.await;
import static dev.coppice.VersionedStore.awaitVersion;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.coppice.api.BundleException;
import dev.coppice.api.BundleInfo;
import dev.coppice.api.Classifier;
import dev.coppice.api.DeadlineException;
import dev.coppice.api.FollowOptions;
import dev.coppice.api.Image;
import dev.coppice.api.Request;
import dev.coppice.api.Result;
import dev.coppice.api.RunOptions;
import dev.coppice.api.Scheduler;
import dev.coppice.api.SchedulerOptions;
import dev.coppice.device.Sensors;
import dev.coppice.follow.FollowedClassifier;
import dev.coppice.follow.Follower;
import dev.coppice.pipeline.Dispatcher;
import dev.coppice.pipeline.MeasuredPipeline;
import dev.coppice.pipeline.Pipeline;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Real models replaced where only one of them fits into memory. */
@Tag("build-machine") // waits for real threads
final class OneModelTest {

  private static final FollowOptions ONE = OPTIONS.withOverlap(false);

  @TempDir private Path folder;
  private VersionedStore versions;
  private final AtomicInteger open = new AtomicInteger();
  private final AtomicInteger most = new AtomicInteger();
  private volatile CountDownLatch gate = new CountDownLatch(0); // before any version is opened
  private volatile boolean atGate;

  @BeforeEach
  void openStore() {
    versions = new VersionedStore(folder);
  }

  /** A real classifier that is counted while it is open. */
  private final class Counted implements Classifier {
    private final Classifier real;
    private final AtomicBoolean closed = new AtomicBoolean();

    private Counted(Classifier real) {
      this.real = real;
      most.accumulateAndGet(open.incrementAndGet(), Math::max);
    }

    @Override
    public BundleInfo bundle() {
      return real.bundle();
    }

    @Override
    public Result classify(Image image, RunOptions options) {
      return real.classify(image, options);
    }

    @Override
    public void infer(FloatBuffer tensor, RunOptions options, FloatBuffer logits) {
      real.infer(tensor, options, logits);
    }

    @Override
    public void selfTest() {
      real.selfTest();
    }

    @Override
    public void close() {
      real.close();
      if (closed.compareAndSet(false, true)) {
        open.decrementAndGet();
      }
    }
  }

  private Classifier opened(Path bundle) {
    try {
      atGate = true;
      gate.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
    Classifier classifier = new Counted(Coppice.open(bundle, ONE.open()));
    try {
      classifier.selfTest();
      return classifier;
    } catch (RuntimeException e) {
      classifier.close();
      throw e;
    }
  }

  private Classifier follow(FollowOptions options) {
    return new FollowedClassifier(new Follower<>(versions.store(), NAME, options, () -> { }, this::opened));
  }

  private static String firstLabel(Result result) {
    return result.labels().get(0).name();
  }

  @Test
  void shouldHoldOneModelAndLetNoRequestFail() throws Exception {
    versions.store().install(versions.named(0));
    AtomicBoolean done = new AtomicBoolean();
    try (Classifier classifier = follow(ONE)) {
      CompletableFuture<Integer> requests = CompletableFuture.supplyAsync(() -> {
        int count = 0;
        for (; !done.get(); count++) {
          classifier.classify(BLACK);
        }
        return count;
      });
      for (int swap = 1; swap <= 5; swap++) {
        versions.store().install(versions.named(swap));
        awaitVersion(classifier::bundle, "1." + swap + ".0");
        assertThat(firstLabel(classifier.classify(BLACK))).startsWith(swap + " ");
      }
      done.set(true);
      assertThat(requests.get(30, TimeUnit.SECONDS)).isGreaterThan(50);
    }
    assertThat(most).hasValue(1);
    assertThat(open).hasValue(0);
  }

  @Test
  void shouldCountTwoWhereTheyOverlap() throws Exception {
    versions.store().install(versions.named(0));
    try (Classifier classifier = follow(OPTIONS)) {
      versions.store().install(versions.named(1));
      awaitVersion(classifier::bundle, "1.1.0");
    }
    assertThat(most).hasValue(2);
  }

  @Test
  void shouldLetRequestsWaitForTheVersionBeforeWhenTheTestFails() throws Exception {
    versions.store().install(versions.named(0));
    try (Classifier classifier = follow(ONE)) {
      versions.blind().install(versions.wrong("1.1.0"));
      await(() -> versions.stored().equals("1.0.0"));
      assertThat(firstLabel(classifier.classify(BLACK))).startsWith("0 ");
      assertThat(most).hasValue(1);
    }
  }

  @Test
  void shouldDoOverWithTheVersionBeforeWhatFailsOnProbation() throws Exception {
    versions.store().install(versions.named(0));
    try (Classifier classifier = follow(ONE)) {
      versions.store().install(versions.failing("1.1.0"));
      awaitVersion(classifier::bundle, "1.1.0");
      assertThat(firstLabel(classifier.classify(BLACK))).startsWith("0 ");
      await(() -> versions.stored().equals("1.0.0"));
      assertThat(most).hasValue(1);
    }
  }

  @Test
  void shouldSayWhyNothingServesAndTakeTheNextVersion() throws Exception {
    Path first = versions.store().install(versions.named(0)).folder();
    try (Classifier classifier = follow(ONE)) {
      Files.delete(first.resolve("model.onnx"));
      versions.blind().install(versions.wrong("1.1.0"));
      await(() -> open.get() == 0);
      assertThatThrownBy(() -> classifier.classify(BLACK)).isInstanceOf(BundleException.class).hasMessageContaining("model.onnx");
      versions.store().install(versions.named(2));
      awaitVersion(classifier::bundle, "1.2.0");
      assertThat(firstLabel(classifier.classify(BLACK))).startsWith("2 ");
    }
  }

  @Test
  void shouldWakeThoseThatWaitWhenItCloses() throws Exception {
    versions.store().install(versions.named(0));
    Classifier classifier = follow(ONE);
    gate = new CountDownLatch(1);
    versions.store().install(versions.named(1));
    await(() -> open.get() == 0);
    Executor ownThread = task -> new Thread(task).start(); // the common pool may have only one
    CompletableFuture<Result> waiting = CompletableFuture.supplyAsync(() -> classifier.classify(BLACK), ownThread);
    CompletableFuture<Void> closing = CompletableFuture.runAsync(classifier::close, ownThread);
    assertThatThrownBy(() -> waiting.get(30, TimeUnit.SECONDS)).cause().isInstanceOf(IllegalStateException.class).hasMessageContaining("is closed");
    gate.countDown();
    closing.get(30, TimeUnit.SECONDS);
    assertThat(open).hasValue(0);
  }

  @Test
  void shouldKeepADeadlineWhileNothingServes() throws Exception {
    versions.store().install(versions.named(0));
    SchedulerOptions few = SchedulerOptions.defaults().withCalibrationRuns(3);
    try (Scheduler scheduler = new Dispatcher(new Follower<>(versions.store(), NAME, ONE, () -> { }, bundle -> {
      opened(bundle).close();
      return new MeasuredPipeline((Pipeline) Coppice.open(bundle, ONE.open()), few, Double.NaN);
    }), new Sensors(folder), few)) {
      gate = new CountDownLatch(1);
      atGate = false;
      versions.store().install(versions.named(1));
      await(() -> atGate);
      CompletableFuture<Result> patient = scheduler.submit(BLACK, Request.within(Duration.ofMinutes(1)));
      CompletableFuture<Result> hasty = scheduler.submit(BLACK, Request.within(Duration.ofMillis(20)));
      Thread.sleep(50);
      gate.countDown();
      assertThatThrownBy(() -> hasty.get(30, TimeUnit.SECONDS)).isInstanceOf(ExecutionException.class).cause().isInstanceOf(DeadlineException.class).hasMessageContaining("nothing was run");
      assertThat(firstLabel(patient.get(30, TimeUnit.SECONDS))).startsWith("1 ");
    }
  }
}
