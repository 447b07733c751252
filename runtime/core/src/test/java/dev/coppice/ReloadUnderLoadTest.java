package dev.coppice;

import static dev.coppice.VersionedStore.BLACK;
import static dev.coppice.VersionedStore.NAME;
import static dev.coppice.VersionedStore.OPTIONS;
import static dev.coppice.VersionedStore.awaitVersion;
import static org.assertj.core.api.Assertions.assertThat;

import dev.coppice.api.BundleInfo;
import dev.coppice.api.BundleStore;
import dev.coppice.api.Classifier;
import dev.coppice.api.FollowOptions;
import dev.coppice.api.Label;
import dev.coppice.api.Request;
import dev.coppice.api.Result;
import dev.coppice.api.Scheduler;
import dev.coppice.api.SchedulerOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Function;
import java.util.function.Supplier;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Versions whose labels name them, replaced while three threads classify without a pause. */
@Tag("build-machine")
final class ReloadUnderLoadTest {

  private static final FollowOptions FEW = OPTIONS.withProbation(3);

  @TempDir private Path folder;

  /** Something with a model in it, however it is called. */
  private record Serving(Supplier<Result> classify, Supplier<BundleInfo> bundle, Runnable end) implements AutoCloseable {
    @Override
    public void close() {
      end.run();
    }
  }

  private static Serving classifier(BundleStore store) {
    Classifier classifier = Coppice.follow(store, NAME, FEW);
    return new Serving(() -> classifier.classify(BLACK), classifier::bundle, classifier::close);
  }

  private static Serving scheduler(BundleStore store) {
    Scheduler scheduler = Coppice.schedule(store, NAME, FEW, SchedulerOptions.defaults().withCalibrationRuns(3));
    return new Serving(() -> scheduler.submit(BLACK, Request.within(Duration.ofMinutes(1))).join(), scheduler::bundle, scheduler::close);
  }

  @Test
  void shouldFailNoRequestAndMixNoVersionsInFiftySwaps() throws Exception {
    assertThat(requestsDuring(50, ReloadUnderLoadTest::classifier)).as("requests").isGreaterThan(500);
  }

  @Test
  void shouldFailNoRequestOfASchedulerInTwentySwaps() throws Exception {
    assertThat(requestsDuring(20, ReloadUnderLoadTest::scheduler)).as("requests").isGreaterThan(200);
  }

  @Test
  @Tag("stress")
  void shouldFailNoRequestAndMixNoVersionsInAThousandSwaps() throws Exception {
    long before = residentKibibytes();
    requestsDuring(100, ReloadUnderLoadTest::classifier);
    long early = residentKibibytes();
    requestsDuring(900, ReloadUnderLoadTest::classifier);
    long late = residentKibibytes();
    System.out.printf("resident: %d KiB, after 100 swaps %d, after 1000 swaps %d%n", before, early, late);
    assertThat(late).isLessThan(early * 105 / 100);
  }

  private long requestsDuring(int swaps, Function<BundleStore, Serving> follow) throws Exception {
    VersionedStore versions = new VersionedStore(Files.createTempDirectory(folder, "versions"));
    BundleStore store = versions.store();
    store.install(versions.named(0));
    AtomicBoolean done = new AtomicBoolean();
    ExecutorService threads = Executors.newFixedThreadPool(3);
    try (Serving serving = follow.apply(store)) {
      List<Future<Long>> counts = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        counts.add(threads.submit(() -> requests(serving, done)));
      }
      for (int swap = 1; swap <= swaps; swap++) {
        store.install(versions.named(swap));
        store.collect(NAME);
        awaitVersion(serving.bundle, "1." + swap + ".0");
      }
      done.set(true);
      long sum = 0;
      for (Future<Long> count : counts) {
        sum += count.get();
      }
      return sum;
    } finally {
      done.set(true);
      threads.shutdown();
    }
  }

  /** How many; fails if one does, if labels are of two versions, or if an older version answers after a newer one. */
  private static long requests(Serving serving, AtomicBoolean done) {
    long count = 0;
    int newest = 0;
    while (!done.get()) {
      Result result = serving.classify.get();
      List<Integer> versions = result.labels().stream().map(Label::name).map(name -> Integer.parseInt(name.split(" ")[0])).distinct().toList();
      assertThat(versions).hasSize(1);
      assertThat(versions.get(0)).isGreaterThanOrEqualTo(newest);
      newest = versions.get(0);
      count++;
    }
    return count;
  }

  private static long residentKibibytes() throws IOException {
    System.gc();
    return Files.readAllLines(Path.of("/proc/self/status")).stream().filter(line -> line.startsWith("VmRSS")).map(line -> line.replaceAll("\\D", ""))
        .mapToLong(Long::parseLong).findFirst().orElseThrow();
  }
}
