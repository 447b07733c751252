package dev.coppice;

import static dev.coppice.VersionedStore.BLACK;
import static dev.coppice.VersionedStore.NAME;
import static dev.coppice.VersionedStore.OPTIONS;
import static dev.coppice.VersionedStore.await;
import static dev.coppice.VersionedStore.awaitVersion;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.coppice.api.BundleException;
import dev.coppice.api.BundleStore;
import dev.coppice.api.Classifier;
import dev.coppice.api.InstallOption;
import dev.coppice.api.NativeException;
import dev.coppice.bundle.SignedBundle;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Real models in a real store, replaced under a classifier. */
final class FollowTest {

  @TempDir private Path folder;

  private VersionedStore versions;

  @BeforeEach
  void openStore() {
    versions = new VersionedStore(folder);
  }

  private BundleStore store() {
    return versions.store();
  }

  @Test
  void shouldFollowInstallationsAndRollbacks() throws Exception {
    store().install(versions.version("1.0.0"));
    try (Classifier classifier = Coppice.follow(store(), NAME, OPTIONS)) {
      assertThat(classifier.classify(BLACK).labels()).hasSize(3);
      store().install(versions.version("1.1.0"));
      awaitVersion(classifier::bundle, "1.1.0");
      store().rollback(NAME);
      awaitVersion(classifier::bundle, "1.0.0");
      assertThat(classifier.classify(BLACK).labels()).hasSize(3);
    }
  }

  @Test
  void shouldNeverServeAVersionThatFailsItsTestAndLeaveItInTheStoreToo() throws Exception {
    store().install(versions.version("1.0.0"));
    try (Classifier classifier = Coppice.follow(store(), NAME, OPTIONS)) {
      versions.blind().install(versions.wrong("1.1.0"));
      await(() -> versions.stored().equals("1.0.0"));
      assertThat(classifier.bundle().version()).isEqualTo("1.0.0");
      store().install(versions.version("1.2.0"));
      awaitVersion(classifier::bundle, "1.2.0");
    }
  }

  @Test
  void shouldAnswerWithTheVersionBeforeWhenTheFirstRunsFail() throws Exception {
    store().install(versions.version("1.0.0"));
    try (Classifier classifier = Coppice.follow(store(), NAME, OPTIONS)) {
      store().install(versions.failing("1.1.0"));
      awaitVersion(classifier::bundle, "1.1.0");
      assertThat(classifier.classify(BLACK).labels()).hasSize(3);
      assertThat(classifier.bundle().version()).isEqualTo("1.0.0");
      await(() -> versions.stored().equals("1.0.0"));
      assertThat(classifier.classify(BLACK).labels()).hasSize(3);
    }
  }

  @Test
  void shouldHaveNothingToGoBackToAfterTheProbation() throws Exception {
    store().install(versions.version("1.0.0"));
    try (Classifier classifier = Coppice.follow(store(), NAME, OPTIONS.withProbation(0))) {
      store().install(versions.failing("1.1.0"));
      awaitVersion(classifier::bundle, "1.1.0");
      assertThatThrownBy(() -> classifier.classify(BLACK)).isInstanceOf(NativeException.class);
      assertThat(classifier.bundle().version()).isEqualTo("1.1.0");
    }
  }

  @Test
  void shouldStartWithTheVersionBeforeABrokenOne() throws Exception {
    store().install(versions.version("1.0.0"));
    versions.blind().install(versions.wrong("1.1.0"));
    try (Classifier classifier = Coppice.follow(store(), NAME, OPTIONS)) {
      assertThat(classifier.bundle().version()).isEqualTo("1.0.0");
      assertThat(versions.stored()).isEqualTo("1.0.0");
    }
  }

  @Test
  void shouldRefuseToStartWithNothingThatWorks() throws Exception {
    assertThatThrownBy(() -> Coppice.follow(store(), NAME, OPTIONS)).isInstanceOf(BundleException.class).hasMessageContaining("no bundle \"small\" is installed");
    versions.blind().install(versions.wrong("1.1.0"));
    assertThatThrownBy(() -> Coppice.follow(store(), NAME, OPTIONS)).isInstanceOf(BundleException.class).extracting("code").isEqualTo("bundle.golden");
  }

  @Test
  @Tag("build-machine") // an emulated JVM starts no tar
  void shouldInstallWhatIsCopiedInOnceItIsComplete() throws Exception {
    Path incoming = Files.createDirectory(folder.resolve("incoming"));
    copyBut("config.json", versions.version("1.0.0"), incoming.resolve("first"));
    Files.copy(folder.resolve("small-1.0.0/config.json"), incoming.resolve("first/config.json"));
    try (Classifier classifier = Coppice.follow(store(), NAME, OPTIONS.withIncoming(incoming).withPoll(Duration.ofMillis(20)))) {
      assertThat(classifier.bundle().version()).isEqualTo("1.0.0");
      assertThat(incoming).isEmptyDirectory();
      copyBut("config.json", versions.version("1.1.0"), incoming.resolve("second"));
      Files.writeString(incoming.resolve("second/config.json"), "{");
      Thread.sleep(200); // ten looks at a copy that goes on
      assertThat(classifier.bundle().version()).isEqualTo("1.0.0");
      Files.copy(folder.resolve("small-1.1.0/config.json"), incoming.resolve("second/config.json"), StandardCopyOption.REPLACE_EXISTING);
      awaitVersion(classifier::bundle, "1.1.0");
      await(() -> incoming.toFile().list().length == 0);
      versions.version("1.2.0");
      assertThat(new ProcessBuilder("tar", "--create", "--file=" + incoming.resolve("third.tar"), "small-1.2.0").directory(folder.toFile()).start().waitFor()).isZero();
      awaitVersion(classifier::bundle, "1.2.0");
      copyBut("", SignedBundle.version(Files.createDirectory(folder.resolve("old")), "0.9.0"), incoming.resolve("fourth"));
      Thread.sleep(200);
      assertThat(versions.stored()).as("an older version is not taken").isEqualTo("1.2.0");
      assertThat(incoming.resolve("fourth")).isDirectory();
    }
  }

  @Test
  void shouldRefuseToRunOnceClosed() throws Exception {
    store().install(versions.version("1.0.0"), InstallOption.ALLOW_OLDER);
    Classifier classifier = Coppice.follow(store(), NAME, OPTIONS);
    classifier.close();
    classifier.close();
    assertThatThrownBy(() -> classifier.classify(BLACK)).isInstanceOf(IllegalStateException.class).hasMessage("What follows bundle \"small\" is closed.");
  }

  private static void copyBut(String name, Path from, Path to) throws IOException {
    List<Path> sources;
    try (Stream<Path> walk = Files.walk(from)) {
      sources = walk.filter(p -> !p.endsWith(name)).toList();
    }
    for (Path source : sources) {
      Files.copy(source, to.resolve(from.relativize(source).toString()));
    }
  }
}
