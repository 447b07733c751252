package dev.coppice.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class BundleCommandTest {

  private static final Path SIGNED = Cli.BUNDLE.resolve("../../../runtime/core/src/test/resources/signed").normalize();

  @TempDir private Path folder;

  private Cli bundle(Object... arguments) {
    Object[] all = new Object[arguments.length + 3];
    all[0] = "bundle";
    System.arraycopy(arguments, 0, all, 1, arguments.length);
    all[arguments.length + 1] = "--store";
    all[arguments.length + 2] = folder.resolve("store");
    return Cli.run(all);
  }

  @Test
  void shouldInstallGoBackAndClassifyWithWhatIsCurrent() throws IOException {
    assertThat(bundle("install", Cli.BUNDLE).out()).startsWith("imagenette-mini 1.0.0 ").endsWith(" current\n");
    Path newer = Cli.copyOfBundle(folder);
    Cli.change(newer, "\"version\":\"1.0.0\"", "\"version\":\"1.1.0\"");
    assertThat(bundle("install", newer).out()).contains("imagenette-mini 1.1.0 ").endsWith(" current\n");
    assertThat(bundle("list").out().lines()).hasSize(2).anyMatch(line -> line.contains(" 1.0.0 ") && line.endsWith(" previous"));
    assertThat(bundle("rollback", "imagenette-mini").out()).contains("imagenette-mini 1.0.0 ").endsWith(" current\n");
    assertThat(bundle("collect", "imagenette-mini").out()).isEqualTo("imagenette-mini: 0 versions deleted\n");
    Path current = folder.resolve("store/imagenette-mini/current");
    assertThat(Cli.run("classify", "--bundle", current, "--top", 1, Cli.golfBall()).out()).contains("golf ball");
  }

  @Test
  void shouldRefuseADamagedBundleInOneSentence() throws IOException {
    Path damaged = Cli.copyOfBundle(folder);
    Files.writeString(damaged.resolve("README.md"), "x");
    Cli end = bundle("install", damaged);
    assertThat(end.code()).isEqualTo(3);
    assertThat(end.err()).startsWith("coppice: ").contains("README.md: expected ").endsWith("\n");
    assertThat(bundle("list").out()).isEmpty();
  }

  @Test
  void shouldSayWhatIsNotInstalled() {
    Cli end = bundle("rollback", "imagenette-mini");
    assertThat(end.code()).isEqualTo(3);
    assertThat(end.err()).contains("no bundle \"imagenette-mini\" is installed");
    assertThat(bundle("rollback", "../x").code()).isEqualTo(2);
  }

  @Test
  void shouldSayWhoSignedABundle() {
    assertThat(Cli.run("bundle", "verify", SIGNED.resolve("bundle"), "--trust", SIGNED.resolve("key.pub.pem")))
        .isEqualTo(new Cli(0, "small 1.0.0: 11 files are as the manifest says, signed by a pinned key\n", ""));
    assertThat(Cli.run("bundle", "verify", Cli.BUNDLE)).isEqualTo(new Cli(0, "imagenette-mini 1.0.0: 11 files are as the manifest says, the signature was not looked at\n", ""));
  }

  @ParameterizedTest
  @ValueSource(strings = {"bundle verify BUNDLE", "bundle install BUNDLE --store STORE", "inspect BUNDLE", "classify --bundle BUNDLE PICTURE"})
  void shouldRefuseAnUnsignedBundleEverywhere(String line) {
    String filled = line.replace("BUNDLE", Cli.BUNDLE.toString()).replace("STORE", folder.resolve("store").toString()).replace("PICTURE", Cli.golfBall().toString());
    Cli end = Cli.run((Object[]) (filled + " --trust " + SIGNED.resolve("key.pub.pem")).split(" "));
    assertThat(end.err()).isEqualTo("coppice: " + Cli.BUNDLE.resolve("model.sig")
        + ": expected a signature by a pinned key, found no such file; sign the bundle, or allow unsigned ones.\n");
    assertThat(end.code()).isEqualTo(3);
    assertThat(end.out()).isEmpty();
    assertThat(folder).isEmptyDirectory();
  }

  @Test
  void shouldInstallATarAndNothingOlderUnlessAllowed() throws Exception {
    Path tar = folder.resolve("small.tar");
    assertThat(new ProcessBuilder("tar", "--create", "--file=" + tar, "bundle").directory(SIGNED.toFile()).start().waitFor()).isZero();
    assertThat(bundle("install", tar, "--trust", SIGNED).out()).startsWith("small 1.0.0 ").endsWith(" current\n");
    Path older = Cli.copy(SIGNED.resolve("bundle"), folder.resolve("older"));
    Cli.change(older, "\"version\":\"1.0.0\"", "\"version\":\"0.9.0\"");
    Cli end = bundle("install", older);
    assertThat(end.err()).contains("expected version 1.0.0 or newer, as that is installed, found 0.9.0");
    assertThat(end.code()).isEqualTo(3);
    assertThat(bundle("install", older, "--allow-older").out()).startsWith("small 0.9.0 ");
    assertThat(bundle("rollback", "small", "--min-version", "2.0.0").code()).isEqualTo(3);
  }

  @ParameterizedTest
  @ValueSource(strings = {"--signature require", "--trust gone.pem", "--min-version one", "--signature maybe"})
  void shouldTakeAWrongTrustForWrongUsage(String options) {
    assertThat(Cli.run((Object[]) ("bundle verify " + SIGNED.resolve("bundle") + " " + options).split(" ")).code()).isEqualTo(2);
  }
}
