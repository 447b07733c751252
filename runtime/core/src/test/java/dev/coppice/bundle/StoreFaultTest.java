package dev.coppice.bundle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.coppice.child.ChangeStore;
import dev.coppice.child.ChildJvm;
import dev.coppice.child.Strace;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * A process that changes a store is killed at a system call, or the call fails: on a full disk, a broken one, with too many open
 * files or without the right. Old or new is current, every version is whole, and the next installation succeeds.
 */
@Tag("child-jvm")
@Tag("build-machine")
final class StoreFaultTest {

  private static final long SEED = 20261121;
  private static final List<String> ERRORS = List.of("EIO", "ENOSPC", "EMFILE", "EACCES");

  @TempDir private Path folder;
  private Strace strace;

  @BeforeEach
  void requireStrace() throws Exception {
    assumeThat(Strace.works()).as("strace, and the right to trace").isTrue();
    strace = new Strace(folder.resolve("strace.log"));
  }

  @ParameterizedTest
  @EnumSource
  void shouldSurviveAKillAtSomeCalls(StoreChange change) throws Exception {
    kill(change, SignedBundle.FOLDER, 2);
  }

  @ParameterizedTest
  @EnumSource
  void shouldRefuseWhenSomeCallFails(StoreChange change) throws Exception {
    fail(change, 1);
  }

  @ParameterizedTest
  @EnumSource
  @Tag("stress")
  void shouldSurviveAKillAtEveryCall(StoreChange change) throws Exception {
    Path large = ShippedBundle.copyInto(folder);
    ShippedBundle.replace(large, "README.md", new byte[25 << 20]);
    for (Path bundle : List.of(SignedBundle.FOLDER, ShippedBundle.FOLDER, large)) {
      System.out.printf("%s of %s: killed at %d calls%n", change, bundle.getFileName(), kill(change, bundle, Integer.MAX_VALUE));
    }
  }

  @ParameterizedTest
  @EnumSource
  @Tag("stress")
  void shouldRefuseWhenAnyCallFails(StoreChange change) throws Exception {
    System.out.printf("%s: failed at %d calls%n", change, fail(change, Integer.MAX_VALUE));
  }

  /** A program and the store that it changes. */
  private final class Trial {
    private final StoreChange change;
    private final SignedVersions versions;
    private final Path before;
    private final Path root;

    Trial(StoreChange change, Path bundle) throws Exception {
      this.change = change;
      Path here = Files.createTempDirectory(folder, "trial");
      versions = new SignedVersions(bundle, here);
      before = Files.createDirectory(here.resolve("before"));
      root = here.resolve("store");
      versions.install(before, change);
    }

    /** The program, and its store as it was before. */
    ChildJvm program() throws IOException {
      new Disk().delete(root);
      ShippedBundle.copy(before, root);
      List<Object> arguments = new ArrayList<>(List.of(root, versions.pem()));
      arguments.addAll(change.arguments(versions));
      return new ChildJvm().with("org.slf4j.simpleLogger.defaultLogLevel", "off").running(ChangeStore.class, arguments.toArray());
    }

    /** The version that is current; every version is signed and complete, and those that are needed are there. */
    String current(String what) {
      FolderStore store = versions.store(root, new Disk());
      assertThat(store.list().stream().map(installed -> versions.version(installed.folder()))).as(what).containsAll(change.kept());
      String current = versions.current(store);
      assertThat(current).as(what).isIn(change.allowed());
      return current;
    }

    void goOn(String what) throws IOException {
      FolderStore store = versions.store(root, new Disk());
      store.install(versions.source("1.4.0"));
      assertThat(versions.current(store)).as("after " + what).isEqualTo("1.4.0");
      assertThat(leftovers()).as("after " + what).isEmpty();
    }

    List<String> leftovers() throws IOException {
      Path home = root.resolve(versions.name());
      if (!Files.exists(home)) {
        return List.of();
      }
      try (Stream<Path> entries = Files.list(home)) {
        return entries.map(entry -> entry.getFileName().toString()).filter(name -> !List.of(".lock", "current", "previous", "versions").contains(name)).toList();
      }
    }
  }

  private int kill(StoreChange change, Path bundle, int most) throws Exception {
    Trial trial = new Trial(change, bundle);
    List<Strace.Call> calls = some(strace.calls(trial::program, trial.root).stream().filter(Strace.Call::changes).toList(), most);
    for (Strace.Call call : calls) {
      String what = "killed at " + call;
      ChildJvm.End end = strace.fault(trial::program, trial.root, call, "signal=KILL");
      assertThat(end.code()).as(what + ": " + end.output()).isEqualTo(137);
      trial.current(what);
      trial.goOn(what);
    }
    assertThat(calls).isNotEmpty();
    return calls.size();
  }

  private int fail(StoreChange change, int most) throws Exception {
    Trial trial = new Trial(change, SignedBundle.FOLDER);
    List<Strace.Call> all = strace.calls(trial::program, trial.root);
    int failed = 0;
    for (String error : ERRORS) {
      for (Strace.Call call : some(all.stream().filter(call -> canFail(call, error)).toList(), most)) {
        ChildJvm.End end = strace.fault(trial::program, trial.root, call, "error=" + error);
        String what = error + " at " + call + ": " + end;
        String current = trial.current(what);
        if (end.code() == 0) { // Java did without the call, so nothing is missing
          assertThat(call.name()).as(what).isNotIn("fsync", "fdatasync", "write", "rename");
          assertThat(current).as(what).isEqualTo(change.wanted());
        } else {
          assertThat(end.code()).as(what).isEqualTo(ChangeStore.REFUSED);
          assertThat(end.output().lines()).as(what).hasSize(1);
        }
        assertThat(trial.leftovers()).as(what).isSubsetOf(change == StoreChange.COLLECT ? List.of(".unfinished") : List.of()); // what it was deleting
        trial.goOn(what);
        failed++;
      }
    }
    assertThat(failed).isPositive();
    return failed;
  }

  private static boolean canFail(Strace.Call call, String error) {
    if (call.line().contains("F_UNLCK")) {
      return false; // Java keeps a file open that it cannot unlock
    }
    return switch (error) {
      case "ENOSPC", "EACCES" -> call.changes();
      case "EMFILE" -> call.name().startsWith("open");
      default -> true;
    };
  }

  private static <T> List<T> some(List<T> all, int most) {
    List<T> drawn = new ArrayList<>(all);
    Collections.shuffle(drawn, new Random(SEED));
    return drawn.subList(0, Math.min(most, drawn.size()));
  }
}
