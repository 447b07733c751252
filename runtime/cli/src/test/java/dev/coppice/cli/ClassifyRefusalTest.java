package dev.coppice.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.zip.CRC32;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What goes wrong ends with one sentence on standard error, nothing on standard output, and a code that a script can tell apart. */
final class ClassifyRefusalTest {

  @TempDir private Path folder;

  @Test
  void shouldNameAFileThatIsNotThere() {
    assertRefused(1, folder.resolve("gone.jpg") + ": no such file; check the path.", folder.resolve("gone.jpg"));
  }

  @Test
  void shouldSayItInOneLineWhenTheNameHasTwo() {
    assertRefused(1, folder.resolve("two lines.jpg") + ": no such file; check the path.", folder.resolve("two\nlines.jpg"));
  }

  @Test
  void shouldRefuseATruncatedJpeg() throws IOException {
    byte[] whole = Files.readAllBytes(Cli.golfBall());
    Path cut = Files.write(folder.resolve("cut.jpg"), Arrays.copyOf(whole, whole.length / 2));
    assertRefused(1, cut + ": expected a complete RGB, grey or palette picture, found a damaged or unsupported one (", cut);
  }

  @Test
  void shouldRefuseTextNamedJpg() throws IOException {
    Path note = Files.writeString(folder.resolve("note.jpg"), "not a picture");
    assertRefused(1, note + ": expected a JPEG or PNG picture, found something else; convert it first.", note);
  }

  @Test
  void shouldRefuseAFolder() {
    assertRefused(1, folder + ": expected a JPEG or PNG file, found a folder; name the files in it.", folder);
  }

  @Test
  void shouldRefuseAHeaderOf89Megapixels() throws IOException {
    Path large = Files.write(folder.resolve("large.png"), pngHeader(9408, 9472));
    assertRefused(1, large + ": expected at most 33554432 pixels, found 9408x9472; shrink it.", large);
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
    "0 | keep must be a ratio above 0 and at most 1 (0.5), token counts (70,49) or the name of a rung (low): 0",
    "1.5 | keep must be a ratio above 0 and at most 1 (0.5), token counts (70,49) or the name of a rung (low): 1.5",
    "x | keep must be a ratio above 0 and at most 1 (0.5), token counts (70,49) or the name of a rung (low): x",
    "-1 | keep must be a ratio above 0 and at most 1 (0.5), token counts (70,49) or the name of a rung (low): -1",
    "0,5 | keep must have 2 counts that fall from at most 100 and are at least 1: [0, 5]",
    "49,70 | keep must have 2 counts that fall from at most 100 and are at least 1: [49, 70]",
    "70 | keep must have 2 counts that fall from at most 100 and are at least 1: [70]",
    "turbo | keep must be a rung of bundle \"imagenette-mini\" (full, high, medium, low, lowest): turbo",
  })
  void shouldRefuseABudgetThatMakesNoSense(String keep, String sentence) {
    assertRefused(2, sentence, "--keep=" + keep, Cli.golfBall());
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
    "--colour=red | Unknown option: '--colour=red'",
    "--top=0 | top must be at least 1: 0.",
    "--top=many | Invalid value for option '--top': 'many' is not an int",
    "--repeat=0 | repeat must be at least 1: 0.",
    "--threads=0 | threads must be 1..64: 0.",
    "--threads=65 | threads must be 1..64: 65.",
    "--output=xml | Invalid value for option '--output': expected one of [TEXT, JSON] (case-insensitive) but was 'xml'.",
  })
  void shouldRefuseAWrongOption(String option, String sentence) {
    assertRefused(2, sentence, option, Cli.golfBall());
  }

  @Test
  void shouldRefuseToClassifyNothing() {
    assertRefused(2, "Missing required parameter: 'IMAGE'");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "fly"})
  void shouldRefuseAMissingOrUnknownCommand(String command) {
    Cli end = command.isEmpty() ? Cli.run() : Cli.run(command);
    assertThat(end.code()).isEqualTo(2);
    assertOneSentence(end);
  }

  @Test
  void shouldRefuseABundleThatIsNotThere() {
    assertRefused(3, folder.resolve("gone") + ": no such bundle; give a folder that holds bundle.json, or a tar of one.", "--bundle",
        folder.resolve("gone"), Cli.golfBall());
  }

  @Test
  void shouldRefuseABundleWithoutItsModel() throws IOException {
    Path copy = Cli.copyOfBundle(folder);
    Files.delete(copy.resolve("model.onnx"));
    assertRefused(3, copy.resolve("model.onnx") + ": bundle.json lists it, the bundle lacks it; copy the bundle again.", "--bundle", copy,
        Cli.golfBall());
  }

  @Test
  void shouldRefuseABundleWithOneAlteredByte() throws IOException {
    Path copy = Cli.copyOfBundle(folder);
    byte[] model = Files.readAllBytes(copy.resolve("model.onnx"));
    model[model.length / 2] ^= 1;
    Files.write(copy.resolve("model.onnx"), model);
    assertRefused(3, copy.resolve("model.onnx") + ": expected " + model.length + " bytes with SHA-256 ", "--bundle", copy, Cli.golfBall());
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
    "\"version\":1,\"used\" | \"version\":2,\"used\" | Bundle \"imagenette-mini\" needs operator EncoderBlock version 2, this library has version 1;",
    "\"format\":1 | \"format\":2 | the bundle has format 2, this runtime reads format 1; use a newer Coppice.",
    "\"runtime\":\"0.1.0\" | \"runtime\":\"9.0.0\" | Bundle \"imagenette-mini\" needs Coppice 9.0.0 or newer, this is 0.1.0; install a newer one.",
    "{\"format\":1 | {\"colour\":\"red\",\"format\":1 | bundle.json: unknown key \"colour\"; use a newer Coppice, or export the bundle again.",
  })
  void shouldRefuseABundleForANewerCoppice(String passage, String other, String sentence) throws IOException {
    Path copy = Cli.copyOfBundle(folder);
    Cli.change(copy, passage, other);
    assertRefused(3, sentence, "--bundle", copy, Cli.golfBall());
  }

  private static void assertRefused(int code, String sentence, Object... arguments) {
    Object[] all = new Object[arguments.length + 1];
    all[0] = "classify";
    System.arraycopy(arguments, 0, all, 1, arguments.length);
    Cli end = Cli.run(all);
    assertThat(end.err()).contains(sentence);
    assertThat(end.code()).isEqualTo(code);
    assertOneSentence(end);
  }

  private static void assertOneSentence(Cli end) {
    assertThat(end.err()).matches("coppice: [^\\n]+\\.\\n").doesNotContain("\tat ", "Exception");
    assertThat(end.out()).isEmpty();
  }

  /** The start of a PNG: signature and header, and not one pixel. */
  private static byte[] pngHeader(int width, int height) {
    ByteBuffer bytes = ByteBuffer.allocate(33);
    bytes.put(new byte[] {(byte) 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'}).putInt(13).put("IHDR".getBytes(StandardCharsets.US_ASCII));
    bytes.putInt(width).putInt(height).put(new byte[] {8, 2, 0, 0, 0});
    CRC32 check = new CRC32();
    check.update(bytes.array(), 12, 17);
    return bytes.putInt((int) check.getValue()).array();
  }
}
