package dev.coppice;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.coppice.api.BundleException;
import dev.coppice.api.Diagnostics;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.Request;
import dev.coppice.api.Result;
import dev.coppice.api.Scheduler;
import dev.coppice.api.SchedulerOptions;
import dev.coppice.bundle.ShippedBundle;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The front door: what it lets in, and what it says to what it does not. */
final class CoppiceTest {

  @TempDir private Path folder;

  @Test
  void shouldRefuseABundleThatIsNotThere() {
    assertThatThrownBy(() -> Coppice.open(folder.resolve("gone"))).isInstanceOf(BundleException.class).extracting("code").isEqualTo("bundle.missing");
  }

  @Test
  void shouldRefuseNoBundleNoOptionsAndNoPictureByName() {
    assertThatThrownBy(() -> Coppice.open(null)).isInstanceOf(NullPointerException.class).hasMessage("bundle");
    assertThatThrownBy(() -> Coppice.open(folder, null)).isInstanceOf(NullPointerException.class).hasMessage("options");
    assertThatThrownBy(() -> Coppice.image((Path) null)).isInstanceOf(NullPointerException.class).hasMessage("file");
    assertThatThrownBy(() -> Coppice.image((byte[]) null)).isInstanceOf(NullPointerException.class).hasMessage("bytes");
  }

  /** Files that are not needed to run are verified beside the opening, and before its end. */
  @ParameterizedTest
  @ValueSource(strings = {"README.md", "golden/0/input.bin", "golden/1/case.json"})
  void shouldNotOpenABundleWithAnyFileChanged(String name) throws IOException {
    Path copy = ShippedBundle.copyInto(folder);
    byte[] bytes = Files.readAllBytes(copy.resolve(name));
    bytes[bytes.length - 1] ^= 1;
    Files.write(copy.resolve(name), bytes);
    assertThatThrownBy(() -> Coppice.open(copy)).isInstanceOf(BundleException.class).hasMessageStartingWith(copy.resolve(name).toString())
        .extracting("code").isEqualTo("bundle.changed");
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1000, 4_000_000})
  void shouldRefuseATruncatedModelWhoseHashesAreRight(int length) throws IOException {
    Path copy = ShippedBundle.copyInto(folder);
    ShippedBundle.replace(copy, "model.onnx", Arrays.copyOf(Files.readAllBytes(copy.resolve("model.onnx")), length));
    assertRefusedAsNoModel(copy);
  }

  @Test
  void shouldRefuseTextInPlaceOfAModel() throws IOException {
    Path copy = ShippedBundle.copyInto(folder);
    ShippedBundle.replace(copy, "model.onnx", "no graph".getBytes(StandardCharsets.UTF_8));
    assertRefusedAsNoModel(copy);
  }

  @ParameterizedTest
  @ValueSource(strings = {"\"name\":\"image\"", "\"name\":\"keep\"", "\"name\":\"logits\"", "\"kept_1\""})
  void shouldRefuseAManifestWhoseNamesTheGraphDoesNotHave(String name) throws IOException {
    Path copy = ShippedBundle.copyInto(folder);
    Files.writeString(copy.resolve("bundle.json"), ShippedBundle.manifest(name, name.replaceFirst("\"$", "x\"")));
    assertThatThrownBy(() -> Coppice.open(copy)).isInstanceOf(BundleException.class)
        .hasMessageMatching("Bundle \"imagenette-mini\": expected a model with inputs .*x.*, found .*; export it again\\.")
            .extracting("code").isEqualTo("bundle.model");
  }

  @Test
  void shouldTellWhatABugReportNeeds() {
    Diagnostics found = Coppice.diagnostics();
    assertThat(found.facts().get("java")).startsWith(System.getProperty("java.version"));
    assertThat(found.facts()).containsEntry("onnx runtime", "1.29.0").containsEntry("coppice", "0.1.0");
    assertThat(Path.of(found.facts().get("operators"))).isRegularFile();
    assertThat(Path.of(found.facts().get("onnx runtime library"))).isRegularFile();
    assertThat(found.facts().get("operators sha256")).matches("[0-9a-f]{64}");
    assertThat(found.facts().get("platform")).endsWith(System.getProperty("os.arch"));
    assertThat(found.findings()).extracting(Diagnostics.Finding::code).noneMatch(code -> code.startsWith("native."));
  }

  private static void assertRefusedAsNoModel(Path bundle) {
    assertThatThrownBy(() -> Coppice.open(bundle)).isInstanceOf(BundleException.class)
        .hasMessageMatching(".*/model\\.onnx: expected an ONNX model, found something else; export the bundle again\\."
            + "|Bundle \"imagenette-mini\": ONNX Runtime refuses the model \\(.*\\); export it again\\.").extracting("code").isEqualTo("bundle.model");
  }

  @Test
  void shouldClassifyWithinADeadline() throws Exception {
    try (Scheduler scheduler = Coppice.schedule(ShippedBundle.FOLDER, OpenOptions.defaults(), SchedulerOptions.defaults().withCalibrationRuns(3))) {
      Request request = Request.within(Duration.ofMinutes(1)).withTop(1);
      Result result = scheduler.submit(Coppice.image(ShippedBundle.golfBall()), request).get(1, TimeUnit.MINUTES);
      assertThat(result.labels()).singleElement().satisfies(label -> assertThat(label.name()).isEqualTo("golf ball"));
      assertThat(result.rung()).isPresent();
    }
  }
}
