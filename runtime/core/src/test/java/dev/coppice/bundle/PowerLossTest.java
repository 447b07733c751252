package dev.coppice.bundle;

import static org.assertj.core.api.Assertions.assertThat;

import dev.coppice.bundle.RecordingDisk.Operation;
import dev.coppice.bundle.RecordingDisk.Operation.Kind;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What a disk may hold after the power went: the recorded changes up to some moment, less some of those that no sync had
 * made last. Three disks: one that keeps the order of changes, one that does not, and one that besides tears the write in
 * progress. After Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014).
 */
@Tag("build-machine")
final class PowerLossTest {

  private static final long SEED = 20261121;

  private enum Persistence { ORDERED, REORDERED, TORN }

  @TempDir private Path folder;
  private SignedVersions versions;

  @BeforeEach
  void sign() throws Exception {
    versions = new SignedVersions(SignedBundle.FOLDER, folder);
  }

  @Test
  void shouldServeTheOldOrTheNewVersionInFiveHundredStates() throws Exception {
    assertThat(states(250)).isGreaterThan(500);
  }

  @Test
  @Tag("stress")
  void shouldServeTheOldOrTheNewVersionInThousandsOfStates() throws Exception {
    System.out.printf("%d states of a disk after a power cut%n", states(20_000));
  }

  /** How many different states were looked at, with so many draws for each scenario and kind of disk. */
  private int states(int draws) throws Exception {
    int states = 0;
    for (StoreChange change : StoreChange.values()) {
      states += states(change, draws);
    }
    return states;
  }

  private int states(StoreChange change, int draws) throws Exception {
    Path root = Files.createDirectory(folder.resolve(change.name()));
    versions.install(root, change);
    Map<Path, Object> before = read(root);
    RecordingDisk disk = new RecordingDisk();
    change.make(versions.store(root, disk), versions);
    List<Operation> operations = disk.operations();
    SplittableRandom random = new SplittableRandom(SEED);
    Set<String> seen = new HashSet<>();
    for (Persistence persistence : Persistence.values()) {
      for (int draw = 0; draw < draws; draw++) {
        int moment = random.nextInt(operations.size() + 1);
        Map<Path, Object> state = state(before, operations, moment, persistence, random);
        if (seen.add(fingerprint(state))) {
          check(change, root, state, change + ", " + persistence + ", moment " + moment + ", draw " + draw + " of seed " + SEED, seen.size() % 25 == 0);
        }
      }
    }
    return seen.size();
  }

  private static Map<Path, Object> state(Map<Path, Object> before, List<Operation> operations, int moment, Persistence persistence, SplittableRandom random) {
    List<Operation> kept = new ArrayList<>();
    int prefix = random.nextInt(moment + 1);
    for (int i = 0; i < moment; i++) {
      Operation operation = operations.get(i);
      boolean lasts = operation.kind() == Kind.SYNC;
      for (int later = i + 1; later < moment && !lasts; later++) {
        lasts = operations.get(later).kind() == Kind.SYNC && operations.get(later).path().equals(operation.parent());
      }
      if (lasts || (persistence == Persistence.ORDERED ? i < prefix : random.nextBoolean())) {
        prefix = persistence == Persistence.ORDERED ? Math.max(prefix, i) : prefix;
        kept.add(operation);
      }
    }
    if (persistence == Persistence.ORDERED) { // what lasts takes all before it along
      kept = kept.isEmpty() ? kept : operations.subList(0, operations.indexOf(kept.get(kept.size() - 1)) + 1);
    }
    Map<Path, Object> state = new TreeMap<>(before);
    kept.forEach(operation -> apply(state, operation));
    if (persistence == Persistence.TORN && moment < operations.size() && operations.get(moment).kind() == Kind.WRITE) {
      Operation torn = operations.get(moment);
      byte[] bytes = Arrays.copyOf(torn.bytes(), random.nextInt(torn.bytes().length + 1));
      if (random.nextBoolean() && bytes.length > 0) {
        Arrays.fill(bytes, random.nextInt(bytes.length), bytes.length, (byte) 0);
      }
      apply(state, new Operation(Kind.WRITE, torn.path(), null, bytes));
    }
    return state;
  }

  /** Does what a file system does, if what it needs is there. */
  private static void apply(Map<Path, Object> state, Operation operation) {
    Path path = operation.path();
    boolean home = state.get(path.getParent()) == Kind.FOLDER || !state.containsKey(path.getParent()) && operation.kind() == Kind.SYNC;
    switch (operation.kind()) {
      case FOLDER -> put(state, home, path, Kind.FOLDER);
      case WRITE -> put(state, home, path, operation.bytes());
      case LINK -> put(state, home, path, operation.to());
      case DELETE -> state.keySet().removeIf(at -> at.startsWith(path));
      case RENAME -> {
        if (state.containsKey(path) && state.containsKey(operation.to().getParent())) {
          Map<Path, Object> moved = new TreeMap<>();
          state.forEach((at, what) -> {
            if (at.startsWith(path)) {
              moved.put(operation.to().resolve(path.relativize(at).toString()), what);
            }
          });
          state.keySet().removeIf(at -> at.startsWith(path) || at.startsWith(operation.to()));
          moved.forEach((at, what) -> state.put(at.equals(operation.to().resolve("")) ? operation.to() : at, what));
        }
      }
      default -> { }
    }
  }

  private static void put(Map<Path, Object> state, boolean home, Path path, Object what) {
    if (home) {
      state.put(path, what);
    }
  }

  private void check(StoreChange change, Path root, Map<Path, Object> state, String what, boolean goOn) throws IOException {
    Path disk = folder.resolve("disk");
    for (Map.Entry<Path, Object> entry : state.entrySet()) {
      Path at = disk.resolve(root.relativize(entry.getKey()).toString());
      if (entry.getValue() == Kind.FOLDER) {
        Files.createDirectories(at);
      } else if (entry.getValue() instanceof Path target) {
        Files.createSymbolicLink(at, target);
      } else {
        Files.write(at, (byte[]) entry.getValue());
      }
    }
    FolderStore store = versions.store(disk, new Disk());
    assertThat(versions.current(store)).as(what).isIn(change.allowed());
    if (goOn) {
      store.install(versions.source("1.4.0"));
      assertThat(versions.current(store)).as("after " + what).isEqualTo("1.4.0");
    }
    new Disk().delete(disk);
  }

  private static Map<Path, Object> read(Path root) throws IOException {
    Map<Path, Object> state = new TreeMap<>();
    try (Stream<Path> walk = Files.walk(root)) {
      for (Path path : (Iterable<Path>) walk::iterator) {
        if (Files.isSymbolicLink(path)) {
          state.put(path, Files.readSymbolicLink(path));
        } else {
          state.put(path, Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS) ? Kind.FOLDER : Files.readAllBytes(path));
        }
      }
    }
    return state;
  }

  private static String fingerprint(Map<Path, Object> state) {
    StringBuilder all = new StringBuilder();
    state.forEach((path, what) -> all.append(path).append('=').append(what instanceof byte[] bytes ? Arrays.hashCode(bytes) : what).append('\n'));
    return all.toString();
  }
}
