package dev.coppice.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class BundleCommandTest {

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
    assertThat(end.code()).isEqualTo(1);
    assertThat(end.err()).startsWith("coppice: ").contains("README.md: expected ").endsWith("\n");
    assertThat(bundle("list").out()).isEmpty();
  }

  @Test
  void shouldSayWhatIsNotInstalled() {
    Cli end = bundle("rollback", "imagenette-mini");
    assertThat(end.code()).isEqualTo(1);
    assertThat(end.err()).contains("no bundle \"imagenette-mini\" is installed");
    assertThat(bundle("rollback", "../x").code()).isEqualTo(2);
  }
}
