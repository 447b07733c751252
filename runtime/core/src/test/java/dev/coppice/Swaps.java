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
import dev.coppice.child.Footprint;
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

/** Versions that are installed one after the other while three threads classify, by itself the program of a JVM: {@code FOLDER SWAPS}. */
final class Swaps {

  private static final FollowOptions FEW = OPTIONS.withProbation(3);

  private final VersionedStore versions;
  private final BundleStore store;
  private final Function<BundleStore, Serving> follow;

  /** Something with a model in it, however it is called. */
  record Serving(Supplier<Result> classify, Supplier<BundleInfo> bundle, Runnable end) implements AutoCloseable {
    @Override
    public void close() {
      end.run();
    }
  }

  static Serving classifier(BundleStore store) {
    Classifier classifier = Coppice.follow(store, NAME, FEW);
    return new Serving(() -> classifier.classify(BLACK), classifier::bundle, classifier::close);
  }

  static Serving scheduler(BundleStore store) {
    Scheduler scheduler = Coppice.schedule(store, NAME, FEW, SchedulerOptions.defaults().withCalibrationRuns(3));
    return new Serving(() -> scheduler.submit(BLACK, Request.within(Duration.ofMinutes(1))).join(), scheduler::bundle, scheduler::close);
  }

  Swaps(Path folder, Function<BundleStore, Serving> follow) {
    versions = new VersionedStore(folder);
    store = versions.store();
    this.follow = follow;
  }

  /** Prints the {@link Footprint} of this JVM after each hundredth swap. */
  public static void main(String[] arguments) throws Exception {
    new Swaps(Path.of(arguments[0]), Swaps::classifier).requestsDuring(Integer.parseInt(arguments[1]), swap -> {
      if (swap % 100 == 0) {
        System.out.println(Footprint.now());
      }
    });
  }

  /** What is done after a swap. */
  interface Step {
    void step(int swap) throws Exception;
  }

  /** How many requests were answered; fails if one was not, or wrongly. */
  long requestsDuring(int swaps, Step after) throws Exception {
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
        after.step(swap);
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
}
