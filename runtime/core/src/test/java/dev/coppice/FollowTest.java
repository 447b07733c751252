package dev.coppice;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.coppice.api.BundleException;
import dev.coppice.api.BundleStore;
import dev.coppice.api.Classifier;
import dev.coppice.api.FollowOptions;
import dev.coppice.api.Image;
import dev.coppice.api.InstallOption;
import dev.coppice.api.NativeException;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.Trust;
import dev.coppice.bundle.FolderStore;
import dev.coppice.bundle.ShippedBundle;
import dev.coppice.bundle.SignedBundle;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Real models in a real store, replaced under a classifier. */
final class FollowTest {

  private static final String NAME = "small";
  private static final FollowOptions OPTIONS = FollowOptions.defaults().withOpen(OpenOptions.defaults().withThreads(1));
  private static final Image IMAGE = new Image(16, 16, new byte[3 * 16 * 16], 0);

  @TempDir private Path folder;

  /** A store that installs what this machine cannot run, as one shared with another machine would. */
  private BundleStore blindStore() {
    return new FolderStore(folder.resolve("store"), Trust.off(), bundle -> { });
  }

  private BundleStore store() {
    return Coppice.store(folder.resolve("store"), OPTIONS.open());
  }

  private Path version(String version) throws IOException {
    return SignedBundle.version(folder, version);
  }

  /** A version that computes something else than its author saw. */
  private Path wrong(String version) throws IOException {
    Path copy = version(version);
    ShippedBundle.replace(copy, "golden/1/logits.bin", new byte[12]);
    return copy;
  }

  /** A version without golden cases whose every run fails: its graph gives one token more than its manifest promises. */
  private Path failing(String version) throws IOException {
    Path copy = version(version);
    Path manifest = copy.resolve("bundle.json");
    String text = Files.readString(manifest).replaceAll("\\s+", "");
    Files.writeString(manifest, text.replace("\"prefix\":1", "\"prefix\":0").replace("\"golden\":[\"golden/0\",\"golden/1\"]", "\"golden\":[]"));
    return copy;
  }

  private static void await(BooleanSupplier condition) throws InterruptedException {
    long end = System.nanoTime() + TimeUnit.MINUTES.toNanos(1);
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime()).as("waited a minute").isLessThan(end);
      Thread.sleep(5);
    }
  }

  private static void awaitVersion(Classifier classifier, String version) throws InterruptedException {
    await(() -> classifier.bundle().version().equals(version));
  }

  private String stored() {
    return Coppice.verify(blindStore().current(NAME), Trust.off()).version();
  }

  @Test
  void shouldFollowInstallationsAndRollbacks() throws Exception {
    store().install(version("1.0.0"));
    try (Classifier classifier = Coppice.follow(store(), NAME, OPTIONS)) {
      assertThat(classifier.classify(IMAGE).labels()).hasSize(3);
      store().install(version("1.1.0"));
      awaitVersion(classifier, "1.1.0");
      store().rollback(NAME);
      awaitVersion(classifier, "1.0.0");
      assertThat(classifier.classify(IMAGE).labels()).hasSize(3);
    }
  }

  @Test
  void shouldNeverServeAVersionThatFailsItsTestAndLeaveItInTheStoreToo() throws Exception {
    store().install(version("1.0.0"));
    try (Classifier classifier = Coppice.follow(store(), NAME, OPTIONS)) {
      blindStore().install(wrong("1.1.0"));
      await(() -> stored().equals("1.0.0"));
      assertThat(classifier.bundle().version()).isEqualTo("1.0.0");
      store().install(version("1.2.0"));
      awaitVersion(classifier, "1.2.0");
    }
  }

  @Test
  void shouldAnswerWithTheVersionBeforeWhenTheFirstRunsFail() throws Exception {
    store().install(version("1.0.0"));
    try (Classifier classifier = Coppice.follow(store(), NAME, OPTIONS)) {
      store().install(failing("1.1.0"));
      awaitVersion(classifier, "1.1.0");
      assertThat(classifier.classify(IMAGE).labels()).hasSize(3);
      assertThat(classifier.bundle().version()).isEqualTo("1.0.0");
      await(() -> stored().equals("1.0.0"));
      assertThat(classifier.classify(IMAGE).labels()).hasSize(3);
    }
  }

  @Test
  void shouldHaveNothingToGoBackToAfterTheProbation() throws Exception {
    store().install(version("1.0.0"));
    try (Classifier classifier = Coppice.follow(store(), NAME, OPTIONS.withProbation(0))) {
      store().install(failing("1.1.0"));
      awaitVersion(classifier, "1.1.0");
      assertThatThrownBy(() -> classifier.classify(IMAGE)).isInstanceOf(NativeException.class);
      assertThat(classifier.bundle().version()).isEqualTo("1.1.0");
    }
  }

  @Test
  void shouldStartWithTheVersionBeforeABrokenOne() throws Exception {
    store().install(version("1.0.0"));
    blindStore().install(wrong("1.1.0"));
    try (Classifier classifier = Coppice.follow(store(), NAME, OPTIONS)) {
      assertThat(classifier.bundle().version()).isEqualTo("1.0.0");
      assertThat(stored()).isEqualTo("1.0.0");
    }
  }

  @Test
  void shouldRefuseToStartWithNothingThatWorks() throws Exception {
    assertThatThrownBy(() -> Coppice.follow(store(), NAME, OPTIONS)).isInstanceOf(BundleException.class).hasMessageContaining("no bundle \"small\" is installed");
    blindStore().install(wrong("1.1.0"));
    assertThatThrownBy(() -> Coppice.follow(store(), NAME, OPTIONS)).isInstanceOf(BundleException.class).extracting("code").isEqualTo("bundle.golden");
  }

  @Test
  @Tag("build-machine") // an emulated JVM starts no tar
  void shouldInstallWhatIsCopiedInOnceItIsComplete() throws Exception {
    Path incoming = Files.createDirectory(folder.resolve("incoming"));
    copyBut("config.json", version("1.0.0"), incoming.resolve("first"));
    Files.copy(folder.resolve("small-1.0.0/config.json"), incoming.resolve("first/config.json"));
    try (Classifier classifier = Coppice.follow(store(), NAME, OPTIONS.withIncoming(incoming).withPoll(Duration.ofMillis(20)))) {
      assertThat(classifier.bundle().version()).isEqualTo("1.0.0");
      assertThat(incoming).isEmptyDirectory();
      copyBut("config.json", version("1.1.0"), incoming.resolve("second"));
      Files.writeString(incoming.resolve("second/config.json"), "{");
      Thread.sleep(200); // ten looks at a copy that goes on
      assertThat(classifier.bundle().version()).isEqualTo("1.0.0");
      Files.copy(folder.resolve("small-1.1.0/config.json"), incoming.resolve("second/config.json"), StandardCopyOption.REPLACE_EXISTING);
      awaitVersion(classifier, "1.1.0");
      await(() -> incoming.toFile().list().length == 0);
      version("1.2.0");
      assertThat(new ProcessBuilder("tar", "--create", "--file=" + incoming.resolve("third.tar"), "small-1.2.0").directory(folder.toFile()).start().waitFor()).isZero();
      awaitVersion(classifier, "1.2.0");
      copyBut("", SignedBundle.version(Files.createDirectory(folder.resolve("old")), "0.9.0"), incoming.resolve("fourth"));
      Thread.sleep(200);
      assertThat(stored()).as("an older version is not taken").isEqualTo("1.2.0");
      assertThat(incoming.resolve("fourth")).isDirectory();
    }
  }

  @Test
  void shouldRefuseToRunOnceClosed() throws Exception {
    store().install(version("1.0.0"), InstallOption.ALLOW_OLDER);
    Classifier classifier = Coppice.follow(store(), NAME, OPTIONS);
    classifier.close();
    classifier.close();
    assertThatThrownBy(() -> classifier.classify(IMAGE)).isInstanceOf(IllegalStateException.class).hasMessage("What follows bundle \"small\" is closed.");
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
