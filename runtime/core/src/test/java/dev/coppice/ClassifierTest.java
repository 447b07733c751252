package dev.coppice;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.coppice.api.BundleException;
import dev.coppice.api.Classifier;
import dev.coppice.api.Image;
import dev.coppice.api.Keep;
import dev.coppice.api.Label;
import dev.coppice.api.NativeException;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.Result;
import dev.coppice.api.RunOptions;
import dev.coppice.bundle.ShippedBundle;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A picture through the whole house: the shipped bundle, the real ONNX Runtime, the real operators. */
final class ClassifierTest {

  private static Classifier classifier;
  private static Image golfBall;

  @BeforeAll
  static void open() {
    classifier = Coppice.open(ShippedBundle.FOLDER);
    golfBall = Coppice.image(ShippedBundle.golfBall());
  }

  @AfterAll
  static void close() {
    classifier.close();
  }

  @ParameterizedTest
  @CsvSource({"full, 100, 100", "high, 80, 64", "medium, 70, 49", "low, 50, 25", "lowest, 30, 9"})
  void shouldSeeTheGolfBallAtEveryRung(String rung, int first, int second) {
    Result result = classifier.classify(golfBall, RunOptions.defaults().withKeep(Keep.rung(rung)));
    assertThat(result.labels().get(0).name()).isEqualTo("golf ball");
    assertThat(result.rung()).contains(rung);
    assertThat(result.keep()).containsExactly(first, second);
  }

  @ParameterizedTest
  @MethodSource("dev.coppice.bundle.ShippedBundle#all")
  void shouldSeeTheGolfBallWithEveryShippedBundle(Path folder) {
    try (Classifier shipped = Coppice.open(folder)) {
      Result result = shipped.classify(golfBall);
      assertThat(result.labels().get(0).name()).isEqualTo("golf ball");
      // Beside the class token as many patches as the budget says, or fewer where sampling decides.
      assertThat(result.kept()).zipSatisfy(result.keep(), (stage, count) -> assertThat(stage).hasSizeBetween(2, count + 1));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"100,100", "70,49", "37,11", "1,1"})
  void shouldTellWhichTokensSurvivedEachStage(String counts) {
    Result result = classifier.classify(golfBall, RunOptions.defaults().withKeep(Keep.parse(counts)));
    // The class token and at least one patch; of the counts, as many as the picture needs.
    assertThat(result.kept()).zipSatisfy(result.keep(), (stage, count) -> assertThat(stage).hasSizeBetween(2, count + 1));
    assertThat(result.kept()).allSatisfy(stage -> assertThat(stage).startsWith(0).isSorted().doesNotHaveDuplicates().allMatch(p -> p <= 100));
    assertThat(result.kept().get(0)).containsAll(result.kept().get(1));
  }

  @Test
  void shouldKeepOtherTokensOfAnotherPicture() {
    Image grey = new Image(160, 160, new byte[3 * 160 * 160], 0);
    assertThat(classifier.classify(grey).kept()).isNotEqualTo(classifier.classify(golfBall).kept());
  }

  @Test
  void shouldUseTheDefaultRungAndFiveLabelsUnlessAskedOtherwise() {
    Result result = classifier.classify(golfBall);
    assertThat(result.rung()).isEqualTo(classifier.bundle().defaultRung());
    assertThat(result.labels()).hasSize(5);
  }

  @Test
  void shouldRankAllLabelsWithScoresThatAddUpToOne() {
    List<Label> labels = classifier.classify(golfBall, RunOptions.defaults().withTop(100)).labels();
    assertThat(labels).extracting(Label::name).containsExactlyInAnyOrderElementsOf(classifier.bundle().labels());
    // Ten floats near 1, each rounded by at most 6e-8.
    assertThat(labels.stream().mapToDouble(Label::score).sum()).isEqualTo(1, within(1e-6));
  }

  @Test
  void shouldMeasureEveryArrow() {
    Result result = classifier.classify(golfBall);
    assertThat(List.of(result.timings().decode(), result.timings().preprocess(), result.timings().run(), result.timings().rank()))
        .allMatch(n -> n > 0);
    assertThat(result.timings().decode()).isEqualTo(golfBall.decodeNanos());
  }

  @Test
  void shouldGiveFourThreadsWhatItGivesOne() throws Exception {
    List<RunOptions> budgets = List.of(budget("full"), budget("high"), budget("low"), budget("lowest"));
    List<Result> alone = budgets.stream().map(b -> classifier.classify(golfBall, b)).toList();
    ExecutorService threads = Executors.newFixedThreadPool(4);
    try {
      List<Callable<Result>> calls = new ArrayList<>();
      for (int i = 0; i < 8; i++) {
        RunOptions budget = budgets.get(i % 4);
        calls.add(() -> classifier.classify(golfBall, budget));
      }
      List<Future<Result>> together = threads.invokeAll(calls);
      for (int i = 0; i < 8; i++) {
        assertThat(together.get(i).get()).usingRecursiveComparison().ignoringFields("timings").isEqualTo(alone.get(i % 4));
      }
    } finally {
      threads.shutdownNow();
    }
  }

  @Test
  void shouldComputeTheSameWithOneThread() {
    try (Classifier single = Coppice.open(ShippedBundle.FOLDER, OpenOptions.defaults().withThreads(1))) {
      Label expected = classifier.classify(golfBall).labels().get(0);
      Label found = single.classify(golfBall).labels().get(0);
      assertThat(found.name()).isEqualTo(expected.name());
      // The golden cases allow 1e-4 in a logit; a score moves by at most half as much.
      assertThat(found.score()).isEqualTo(expected.score(), within(5e-5f));
    }
  }

  @Test
  void shouldRefuseToRunOnceClosed() {
    Classifier closed = Coppice.open(ShippedBundle.FOLDER);
    closed.close();
    closed.close();
    assertThatThrownBy(() -> closed.classify(golfBall)).isInstanceOf(IllegalStateException.class)
        .hasMessage("The classifier of bundle \"imagenette-mini\" is closed.");
    assertThatThrownBy(closed::selfTest).isInstanceOf(IllegalStateException.class);
    assertThat(closed.bundle().name()).isEqualTo("imagenette-mini");
  }

  @RepeatedTest(5)
  void shouldEndRunsThatAreInProgressWhenItMayNotWait() throws Exception {
    Classifier busy = Coppice.open(ShippedBundle.FOLDER, OpenOptions.defaults().withThreads(1).withCloseLimit(Duration.ZERO));
    ExecutorService threads = Executors.newFixedThreadPool(4);
    List<Future<RuntimeException>> ends = new ArrayList<>();
    CountDownLatch begun = new CountDownLatch(4);
    for (int thread = 0; thread < 4; thread++) {
      ends.add(threads.submit(() -> {
        begun.countDown();
        while (true) {
          try {
            busy.classify(golfBall);
          } catch (RuntimeException end) {
            return end;
          }
        }
      }));
    }
    begun.await();
    busy.close();
    busy.close();
    for (Future<RuntimeException> end : ends) {
      assertThat(end.get(30, TimeUnit.SECONDS)).isInstanceOfAny(IllegalStateException.class, NativeException.class);
    }
    threads.shutdown();
  }

  @Test
  void shouldStayUsableAfterARefusedBudget() {
    assertThatThrownBy(() -> classifier.classify(golfBall, RunOptions.defaults().withKeep(Keep.counts(49, 70))))
        .isInstanceOf(IllegalArgumentException.class);
    assertThat(classifier.classify(golfBall).labels().get(0).name()).isEqualTo("golf ball");
  }

  @Test
  void shouldPassItsOwnGoldenCases() {
    classifier.selfTest();
  }

  @ParameterizedTest
  @ValueSource(floats = {0.0003f, -0.0003f, Float.NaN})
  void shouldFailItsGoldenCasesWhenALogitIsNotWhatTheAuthorSaw(float error, @TempDir Path folder) throws IOException {
    Path copy = ShippedBundle.copyInto(folder);
    float[] logits = new float[10];
    ByteBuffer.wrap(Files.readAllBytes(copy.resolve("golden/1/logits.bin"))).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(logits);
    logits[3] += error;
    ShippedBundle.replace(copy, "golden/1/logits.bin", ShippedBundle.bytes(logits));
    try (Classifier other = Coppice.open(copy)) {
      assertThatThrownBy(other::selfTest).isInstanceOf(BundleException.class)
          .hasMessageStartingWith("Bundle \"imagenette-mini\", golden/1: expected logit 3 = " + logits[3] + ", this machine computes ")
          .extracting("code").isEqualTo("bundle.golden");
    }
  }

  @Test
  void shouldVerifyItsGoldenCasesWheneverItReadsThem(@TempDir Path folder) throws IOException {
    Path copy = ShippedBundle.copyInto(folder);
    try (Classifier other = Coppice.open(copy)) {
      Files.write(copy.resolve("golden/1/logits.bin"), new byte[40]);
      assertThatThrownBy(other::selfTest).isInstanceOf(BundleException.class)
          .hasMessageStartingWith(copy.resolve("golden/1/logits.bin") + ": expected 40 bytes with SHA-256 ").extracting("code").isEqualTo("bundle.changed");
    }
  }

  private static RunOptions budget(String rung) {
    return RunOptions.defaults().withKeep(Keep.rung(rung)).withTop(10);
  }
}
