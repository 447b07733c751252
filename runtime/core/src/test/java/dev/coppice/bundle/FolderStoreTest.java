package dev.coppice.bundle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.coppice.api.BundleException;
import dev.coppice.api.InstalledBundle;
import dev.coppice.api.NativeException;
import dev.coppice.api.Trust;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Installing, rolling back and collecting, ended at every change of the disk. */
final class FolderStoreTest {

  private static final String NAME = "imagenette-mini";

  @TempDir private Path folder;

  /** What a power cut is to a process: nothing after it runs, no clean-up either. */
  private static final class PowerCut extends Error {
    private static final long serialVersionUID = 1;
  }

  /** A disk whose n-th change and all after it do not happen. */
  private static final class FailingDisk extends Disk {
    private final boolean power;
    private int left;

    FailingDisk(int changes, boolean power) {
      this.left = changes;
      this.power = power;
    }

    private void change() throws IOException {
      if (left-- <= 0) {
        if (power) {
          throw new PowerCut();
        }
        throw new IOException("No space left on device");
      }
    }

    @Override
    void folder(Path made) throws IOException {
      change();
      super.folder(made);
    }

    @Override
    void write(Path file, byte[] bytes) throws IOException {
      if (power && left == 0) {
        super.write(file, Arrays.copyOf(bytes, bytes.length / 2)); // half a file is left
      }
      change();
      super.write(file, bytes);
    }

    @Override
    void rename(Path from, Path to) throws IOException {
      change();
      super.rename(from, to);
    }

    @Override
    void link(Path link, Path target) throws IOException {
      change();
      super.link(link, target);
    }

    @Override
    void delete(Path path) throws IOException {
      if (power && Files.exists(path, LinkOption.NOFOLLOW_LINKS)) {
        change();
      }
      super.delete(path);
    }
  }

  /** The shipped bundle under another version. */
  private Path bundle(String version) {
    try {
      Path parent = folder.resolve("source-" + version);
      Path copy = parent.resolve("copy");
      if (!Files.exists(copy)) {
        Files.createDirectories(parent);
        ShippedBundle.copyInto(parent);
        Path manifest = copy.resolve("bundle.json");
        Files.writeString(manifest, Files.readString(manifest).replaceFirst("\"version\": \"[^\"]+\"", "\"version\": \"" + version + "\""));
      }
      return copy;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private FolderStore store() {
    return new FolderStore(folder.resolve("store"), Trust.off(), bundle -> Bundle.read(bundle, Trust.off()));
  }

  private FolderStore store(Disk disk) {
    return new FolderStore(folder.resolve("store"), Trust.off(), bundle -> Bundle.read(bundle, Trust.off()), disk);
  }

  private String currentVersion() {
    return Bundle.read(store().current(NAME), Trust.off()).info().version();
  }

  @Test
  void shouldGiveTheNewestAndGoBack() {
    store().install(bundle("1.0.0"));
    InstalledBundle second = store().install(bundle("1.1.0"));
    assertThat(second.current()).isTrue();
    assertThat(currentVersion()).isEqualTo("1.1.0");
    assertThat(store().rollback(NAME).version()).isEqualTo("1.0.0");
    assertThat(currentVersion()).isEqualTo("1.0.0");
    assertThat(store().rollback(NAME).version()).isEqualTo("1.1.0");
  }

  @Test
  void shouldListAndCollect() {
    for (String version : List.of("1.0.0", "1.1.0", "1.2.0", "1.3.0")) {
      store().install(bundle(version));
    }
    assertThat(store().list()).extracting(InstalledBundle::version).containsExactlyInAnyOrder("1.0.0", "1.1.0", "1.2.0", "1.3.0");
    assertThat(store().collect(NAME)).isEqualTo(2);
    assertThat(store().list()).filteredOn(InstalledBundle::current).extracting(InstalledBundle::version).containsExactly("1.3.0");
    assertThat(store().list()).filteredOn(InstalledBundle::previous).extracting(InstalledBundle::version).containsExactly("1.2.0");
  }

  @Test
  void shouldKeepTheSignature() throws IOException {
    byte[] signature = {1, 2, 3};
    Files.write(bundle("1.0.0").resolve("model.sig"), signature);
    assertThat(store().install(bundle("1.0.0")).folder().resolve("model.sig")).hasBinaryContent(signature);
  }

  @Test
  void shouldInstallTheSameAgainWithoutChange() {
    store().install(bundle("1.0.0"));
    store().install(bundle("1.1.0"));
    store().install(bundle("1.1.0"));
    assertThat(store().rollback(NAME).version()).isEqualTo("1.0.0");
  }

  @Test
  void shouldKeepTheOldWhenTheNewFailsItsTest() throws IOException {
    store().install(bundle("1.0.0"));
    FolderStore picky = new FolderStore(folder.resolve("store"), Trust.off(), tested -> {
      throw new BundleException("golden", "not here");
    });
    assertThatThrownBy(() -> picky.install(bundle("1.1.0"))).isInstanceOf(BundleException.class).hasMessage("not here");
    assertThat(currentVersion()).isEqualTo("1.0.0");
    store().install(bundle("1.1.0"));
    assertThat(leftovers()).isEmpty();
  }

  @Test
  void shouldRefuseADamagedSourceBeforeItChangesAnything() throws IOException {
    Path source = bundle("1.0.0");
    Files.writeString(source.resolve("README.md"), "x");
    assertThatThrownBy(() -> store().install(source)).isInstanceOf(BundleException.class).hasMessageContaining("README.md");
    assertThat(store().list()).isEmpty();
  }

  @Test
  void shouldSayWhatIsNotThere() {
    assertThatThrownBy(() -> store().current(NAME)).isInstanceOf(BundleException.class).hasMessageContaining("installed");
    assertThatThrownBy(() -> store().rollback(NAME)).isInstanceOf(BundleException.class).hasMessageContaining("installed");
    store().install(bundle("1.0.0"));
    assertThatThrownBy(() -> store().rollback(NAME)).isInstanceOf(BundleException.class).hasMessageContaining("before the current one");
  }

  @ParameterizedTest
  @ValueSource(strings = {"..", "a/b", "", "A", "/etc"})
  void shouldRefuseNamesThatLeadElsewhere(String name) {
    assertThatThrownBy(() -> store().current(name)).isInstanceOf(IllegalArgumentException.class).hasMessageContaining("name must match");
  }

  @ParameterizedTest
  @ValueSource(strings = {"../1.0.0", "1.0.0/..", "1.0", "1.0.0-", "latest"})
  void shouldRefuseAVersionThatLeadsElsewhere(String version) throws IOException {
    Path source = bundle("1.0.0");
    Path manifest = source.resolve("bundle.json");
    Files.writeString(manifest, Files.readString(manifest).replace("\"version\": \"1.0.0\"", "\"version\": \"" + version + "\""));
    assertThatThrownBy(() -> store().install(source)).isInstanceOf(BundleException.class).hasMessageContaining("SemVer");
  }

  @Test
  @Tag("build-machine") // a hundred installations, and nothing of the processor in them
  void shouldServeTheOldOrTheNewVersionAfterAPowerCutAtAnyChange() throws IOException {
    int changes = changes();
    assertThat(changes).isGreaterThan(10);
    for (int cut = 0; cut < changes; cut++) {
      new Disk().delete(folder.resolve("store"));
      store().install(bundle("1.0.0"));
      FolderStore dying = store(new FailingDisk(cut, true));
      assertThatThrownBy(() -> dying.install(bundle("1.1.0"))).as("cut %d", cut).isInstanceOf(PowerCut.class);
      assertThat(currentVersion()).as("cut %d", cut).isIn("1.0.0", "1.1.0");
      store().install(bundle("1.1.0"));
      assertThat(currentVersion()).as("after cut %d", cut).isEqualTo("1.1.0");
      assertThat(store().rollback(NAME).version()).as("after cut %d", cut).isEqualTo("1.0.0");
      store().collect(NAME);
      assertThat(leftovers()).as("after cut %d", cut).isEmpty();
    }
  }

  @Test
  @Tag("build-machine") // a hundred installations, and nothing of the processor in them
  void shouldChangeNothingOnAFullDisk() throws IOException {
    int changes = changes();
    for (int full = 0; full < changes; full++) {
      new Disk().delete(folder.resolve("store"));
      store().install(bundle("1.0.0"));
      FolderStore failing = store(new FailingDisk(full, false));
      assertThatThrownBy(() -> failing.install(bundle("1.1.0"))).as("full after %d", full).isInstanceOf(NativeException.class)
          .hasMessageContaining("No space left on device").hasMessageContaining("what is current is complete");
      assertThat(currentVersion()).as("full after %d", full).isEqualTo("1.0.0");
    }
  }

  /** How many changes of the disk the second installation is. */
  private int changes() throws IOException {
    new Disk().delete(folder.resolve("store"));
    store().install(bundle("1.0.0"));
    FailingDisk counting = new FailingDisk(Integer.MAX_VALUE, false);
    store(counting).install(bundle("1.1.0"));
    return Integer.MAX_VALUE - counting.left;
  }

  /** What a store holds besides versions, links and its lock. */
  private List<Path> leftovers() throws IOException {
    try (Stream<Path> entries = Files.list(folder.resolve("store").resolve(NAME))) {
      return entries.filter(p -> !List.of("versions", "current", "previous", ".lock").contains(p.getFileName().toString())).toList();
    }
  }
}
