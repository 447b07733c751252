package dev.coppice;

import static org.assertj.core.api.Assertions.assertThat;

import dev.coppice.api.BundleStore;
import dev.coppice.api.Classifier;
import dev.coppice.api.FollowOptions;
import dev.coppice.api.Image;
import dev.coppice.api.Label;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.Result;
import dev.coppice.bundle.ShippedBundle;
import dev.coppice.bundle.SignedBundle;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Versions whose labels name them, replaced while three threads classify without a pause. */
@Tag("build-machine")
final class ReloadUnderLoadTest {

  private static final Image IMAGE = new Image(16, 16, new byte[3 * 16 * 16], 0);

  @TempDir private Path folder;

  @Test
  void shouldFailNoRequestAndMixNoVersionsInFiftySwaps() throws Exception {
    assertThat(requestsDuring(50)).as("requests").isGreaterThan(500);
  }

  @Test
  @Tag("stress")
  void shouldFailNoRequestAndMixNoVersionsInAThousandSwaps() throws Exception {
    long before = residentKibibytes();
    requestsDuring(100);
    long early = residentKibibytes();
    requestsDuring(900);
    long late = residentKibibytes();
    System.out.printf("resident: %d KiB, after 100 swaps %d, after 1000 swaps %d%n", before, early, late);
    assertThat(late).isLessThan(early * 105 / 100);
  }

  private long requestsDuring(int swaps) throws Exception {
    Path root = Files.createTempDirectory(folder, "store");
    OpenOptions open = OpenOptions.defaults().withThreads(1);
    BundleStore store = Coppice.store(root, open);
    store.install(version(0));
    AtomicBoolean done = new AtomicBoolean();
    ExecutorService threads = Executors.newFixedThreadPool(3);
    try (Classifier classifier = Coppice.follow(store, "small", FollowOptions.defaults().withOpen(open).withProbation(3))) {
      List<Future<Long>> counts = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        counts.add(threads.submit(() -> requests(classifier, done)));
      }
      for (int swap = 1; swap <= swaps; swap++) {
        store.install(version(swap));
        store.collect("small");
        long end = System.nanoTime() + TimeUnit.MINUTES.toNanos(1);
        while (!classifier.bundle().version().equals("1." + swap + ".0")) {
          assertThat(System.nanoTime()).isLessThan(end);
          Thread.sleep(1);
        }
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
  private static long requests(Classifier classifier, AtomicBoolean done) {
    long count = 0;
    int newest = 0;
    while (!done.get()) {
      Result result = classifier.classify(IMAGE);
      List<Integer> versions = result.labels().stream().map(Label::name).map(name -> Integer.parseInt(name.split(" ")[0])).distinct().toList();
      assertThat(versions).hasSize(1);
      assertThat(versions.get(0)).isGreaterThanOrEqualTo(newest);
      newest = versions.get(0);
      count++;
    }
    return count;
  }

  private Path version(int number) throws IOException {
    Path copy = SignedBundle.version(Files.createTempDirectory(folder, "source"), "1." + number + ".0");
    String labels = Files.readString(copy.resolve("config.json")).replaceAll("\"(\\d)\": \"[^\"]*\"", "\"$1\": \"" + number + " label $1\"");
    ShippedBundle.replace(copy, "config.json", labels.getBytes(StandardCharsets.UTF_8));
    return copy;
  }

  private static long residentKibibytes() throws IOException {
    System.gc();
    return Files.readAllLines(Path.of("/proc/self/status")).stream().filter(line -> line.startsWith("VmRSS")).map(line -> line.replaceAll("\\D", ""))
        .mapToLong(Long::parseLong).findFirst().orElseThrow();
  }
}
