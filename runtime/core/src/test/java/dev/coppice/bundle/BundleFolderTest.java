package dev.coppice.bundle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.coppice.api.BundleException;
import dev.coppice.api.Trust;
import dev.coppice.ops.Sha256;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Each case is a copy of the shipped bundle with one file spoilt. */
final class BundleFolderTest {

  @TempDir private Path folder;
  private Path copy;

  @BeforeEach
  void copy() throws IOException {
    copy = ShippedBundle.copyInto(folder);
  }

  @Test
  void shouldReadACopyAsTheOriginal() {
    assertThat(Bundle.read(copy, Trust.off()).info()).isEqualTo(Bundle.read(ShippedBundle.FOLDER, Trust.off()).info());
  }

  @Test
  void shouldReadABundleThroughALinkToItsFolder() throws IOException {
    Path current = Files.createSymbolicLink(folder.resolve("current"), copy);
    assertThat(Bundle.read(current, Trust.off()).info().name()).isEqualTo("imagenette-mini");
  }

  @ParameterizedTest
  @ValueSource(strings = {"model.onnx", "LICENSE", "config.json", "golden/1/input.bin"})
  void shouldRefuseABundleThatLacksAFile(String name) throws IOException {
    Files.delete(copy.resolve(name));
    assertRefused("bundle.missing", copy.resolve(name) + ": bundle.json lists it, the bundle lacks it; copy the bundle again.");
  }

  @ParameterizedTest
  @CsvSource({"model.onnx, 0", "model.onnx, 4000000", "README.md, 100", "config.json, 20", "preprocessor_config.json, 5", "golden/0/logits.bin, 39"})
  void shouldRefuseAChangedByte(String name, int position) throws IOException {
    byte[] bytes = Files.readAllBytes(copy.resolve(name));
    String before = Sha256.of(bytes);
    bytes[position] ^= 1;
    Files.write(copy.resolve(name), bytes);
    assertRefused("bundle.changed", copy.resolve(name) + ": expected " + bytes.length + " bytes with SHA-256 " + before + ", found " + bytes.length
        + " bytes with " + Sha256.of(bytes) + "; copy the bundle again.");
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 4_000_000})
  void shouldRefuseATruncatedModel(int length) throws IOException {
    byte[] whole = Files.readAllBytes(copy.resolve("model.onnx"));
    Files.write(copy.resolve("model.onnx"), Arrays.copyOf(whole, length));
    assertRefusedStarting("bundle.changed", copy.resolve("model.onnx") + ": expected " + whole.length + " bytes with SHA-256 ");
  }

  @Test
  void shouldRefuseAModelThatGrew() throws IOException {
    byte[] whole = Files.readAllBytes(copy.resolve("model.onnx"));
    Files.write(copy.resolve("model.onnx"), Arrays.copyOf(whole, whole.length + 1));
    assertRefused("bundle.changed", copy.resolve("model.onnx") + ": expected at most " + whole.length + " bytes, found " + (whole.length + 1)
        + "; copy the bundle again.");
  }

  @ParameterizedTest
  @ValueSource(strings = {"notes.txt", ".hidden", "golden/model.sig", "golden/0/more.bin", "golden/2"})
  void shouldRefuseAFileThatTheManifestDoesNotList(String name) throws IOException {
    Files.writeString(copy.resolve(name), "surplus");
    assertRefused("bundle.surplus", copy.resolve(name) + ": bundle.json does not list it; remove it from the bundle.");
  }

  @Test
  void shouldTakeASignatureForNoSurplusFile() throws IOException {
    Files.writeString(copy.resolve("model.sig"), "{}");
    assertThat(Bundle.read(copy, Trust.off()).info()).isEqualTo(Bundle.read(ShippedBundle.FOLDER, Trust.off()).info());
  }

  @Test
  void shouldRefuseALinkInPlaceOfTheSignature() throws IOException {
    Files.createSymbolicLink(copy.resolve("model.sig"), copy.resolve("LICENSE"));
    assertRefusedStarting("bundle.link", copy.resolve("model.sig") + ": expected a regular file, found a link");
  }

  @ParameterizedTest
  @ValueSource(strings = {"model.onnx", "golden/0/input.bin", "bundle.json"})
  void shouldRefuseALinkInPlaceOfAFile(String name) throws IOException {
    Path original = Files.move(copy.resolve(name), folder.resolve("elsewhere"));
    Files.createSymbolicLink(copy.resolve(name), original);
    assertRefusedStarting("bundle.link", copy.resolve(name) + ": expected a regular file, found a link");
  }

  @Test
  void shouldRefuseALinkInPlaceOfAFolder() throws IOException {
    Path original = Files.move(copy.resolve("golden"), folder.resolve("elsewhere"));
    Files.createSymbolicLink(copy.resolve("golden"), original);
    assertRefusedStarting("bundle.link", copy.resolve("golden") + ": expected a regular file, found a link");
  }

  @Test
  void shouldRefuseAHardLink() throws IOException {
    Files.createLink(folder.resolve("other-name"), copy.resolve("model.onnx"));
    assertRefused("bundle.link", copy.resolve("model.onnx") + ": expected a file of its own, found a hard link; copy the bundle's files themselves.");
  }

  @Test
  void shouldRefuseAFolderWithoutManifest() throws IOException {
    Files.delete(copy.resolve("bundle.json"));
    assertRefused("bundle.missing", copy.resolve("bundle.json") + ": no such file; copy the bundle again.");
  }

  @Test
  void shouldRefuseAFolderInPlaceOfTheManifest() throws IOException {
    Files.delete(copy.resolve("bundle.json"));
    Files.createDirectory(copy.resolve("bundle.json"));
    assertRefusedStarting("bundle.link", copy.resolve("bundle.json") + ": expected a regular file, found a link, folder or device; ");
  }

  @ParameterizedTest
  @ValueSource(strings = {"bundle.json", "model.onnx"})
  @Tag("build-machine")
  void shouldNotWaitForAPipe(String name) throws IOException, InterruptedException {
    Files.delete(copy.resolve(name));
    int status = new ProcessBuilder("mkfifo", copy.resolve(name).toString()).start().waitFor();
    assumeTrue(status == 0, "this file system has no pipes");
    assertTimeoutPreemptively(Duration.ofSeconds(10), () -> assertRefusedStarting("bundle.link", copy.resolve(name)
        + ": expected a regular file, found a link"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"gone", "copy/bundle.json/inside"})
  void shouldRefuseWhatIsNeitherFolderNorTar(String name) {
    Path file = folder.resolve(name);
    assertThatThrownBy(() -> Bundle.read(file, Trust.off())).isInstanceOf(BundleException.class)
        .hasMessage(file + ": no such bundle; give a folder that holds bundle.json, or a tar of one.");
  }

  @Test
  void shouldRefuseAManifestOfMoreThanOneMebibyteUnread() throws IOException {
    Files.writeString(copy.resolve("bundle.json"), " ".repeat((1 << 20) + 1));
    assertRefused("bundle.changed", copy.resolve("bundle.json") + ": expected at most 1048576 bytes, found 1048577; copy the bundle again.");
  }

  @Test
  void shouldNotFollowANameOutOfTheFolder() throws IOException {
    Files.writeString(folder.resolve("outside"), "secret");
    manifest("\"LICENSE\":", "\"../outside\":{\"bytes\":6,\"sha256\":\"" + Sha256.of("secret".getBytes(StandardCharsets.UTF_8))
        + "\"},\"LICENSE\":");
    assertRefusedStarting("bundle.missing", copy.resolve("../outside") + ": bundle.json lists it, the bundle lacks it");
  }

  @Test
  void shouldRefuseANameThatNoFileCanHave() throws IOException {
    manifest("\"LICENSE\":", "\"a\\u0000b\":{\"bytes\":1,\"sha256\":\"0\"},\"LICENSE\":");
    assertRefused("bundle.manifest", copy.resolve("bundle.json")
        + ": files: expected text without control characters, found U+0000; export the bundle again.");
  }

  @Test
  void shouldRefuseAGoldenCaseThatIsNotListed() throws IOException {
    manifest("\"golden/1\"]", "\"golden/7\"]");
    assertRefused("bundle.missing", copy.resolve("golden/7/case.json") + ": bundle.json lists no such file; export the bundle again.");
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
    "{\"keep\":[30],\"tolerance\":1e-4}",
    "{\"keep\":[30,9,1],\"tolerance\":1e-4}",
  })
  void shouldRefuseAGoldenCaseThatDoesNotFitTheModel(String golden) throws IOException {
    ShippedBundle.replace(copy, "golden/1/case.json", golden.getBytes(StandardCharsets.UTF_8));
    assertRefused("bundle.manifest", "golden/1: input, logits or keep do not fit the model; export the bundle again.");
  }

  @Test
  void shouldRefuseGoldenLogitsOfAnotherModel() throws IOException {
    ShippedBundle.replace(copy, "golden/1/logits.bin", new byte[44]);
    assertRefused("bundle.manifest", "golden/1: input, logits or keep do not fit the model; export the bundle again.");
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
    "\"9\": \"parachute\" | \"10\": \"parachute\" | found none for 9; export the bundle again.",
    "\"9\": \"parachute\" | \"9\": \"parachute\", \"10\": \"kite\" | found also 10; export the bundle again.",
    "\"9\": \"parachute\" | \"9\": \"parachute\", \"x\": \"kite\" | found also x; export the bundle again.",
  })
  void shouldRefuseLabelsThatDoNotMatchTheClasses(String passage, String other, String end) throws IOException {
    change("config.json", passage, other);
    assertRefused("bundle.labels", copy.resolve("config.json") + ": id2label: expected names for classes 0..9, " + end);
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
    "\"resample\": 3 | \"resample\": 2",
    "\"do_resize\": true | \"do_resize\": false",
    "\"do_normalize\": true | \"do_normalize\": false",
    "\"height\": 160 | \"height\": 159",
  })
  void shouldRefusePreprocessingThatItDoesNotDo(String passage, String other) throws IOException {
    change("preprocessor_config.json", passage, other);
    assertRefused("bundle.preprocessing", copy.resolve("preprocessor_config.json") + ": expected bicubic resizing (resample 3), a centre crop of 160"
        + " pixels, rescaling by 1/255 and normalisation, found something else; export the bundle again.");
  }

  @Test
  void shouldRefuseACropLargerThanTheResizedImage() throws IOException {
    change("preprocessor_config.json", "\"shortest_edge\": 160", "\"shortest_edge\": 159");
    assertRefused("bundle.preprocessing", copy.resolve("preprocessor_config.json")
        + ": 1 <= crop <= shortSide <= 8192: crop=160, shortSide=159; export the bundle again.");
  }

  private void manifest(String passage, String other) throws IOException {
    Files.writeString(copy.resolve("bundle.json"), ShippedBundle.manifest(passage, other));
  }

  private void change(String name, String passage, String other) throws IOException {
    String before = Files.readString(copy.resolve(name));
    assertThat(before).contains(passage);
    ShippedBundle.replace(copy, name, before.replace(passage, other).getBytes(StandardCharsets.UTF_8));
  }

  private void assertRefused(String code, String sentence) {
    assertThatThrownBy(() -> Bundle.read(copy, Trust.off())).isInstanceOf(BundleException.class).hasMessage(sentence).extracting("code").isEqualTo(code);
  }

  private void assertRefusedStarting(String code, String start) {
    assertThatThrownBy(() -> Bundle.read(copy, Trust.off())).isInstanceOf(BundleException.class).hasMessageStartingWith(start).extracting("code").isEqualTo(code);
  }
}
