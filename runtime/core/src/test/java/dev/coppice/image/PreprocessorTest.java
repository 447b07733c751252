package dev.coppice.image;

import static org.assertj.core.api.Assertions.assertThat;

import dev.coppice.api.Image;
import dev.coppice.api.Preprocessing;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Against tensors that export/tools/make_preprocess_fixtures.py made with Pillow and numpy. */
final class PreprocessorTest {

  private static final Preprocessing PLAIN = new Preprocessing(4, 4, List.of(0f, 0f, 0f), List.of(1f, 1f, 1f));

  @ParameterizedTest
  @ValueSource(strings = {"portrait-reduced", "landscape-reduced-and-cropped", "odd-margin", "tall-and-enlarged", "tall-and-reduced", "wide-and-enlarged",
      "same-size", "one-pixel", "reduced-far"})
  void shouldMakeExactlyTheTensorThatPythonMakes(String name) throws IOException {
    assertThat(tensor(ImageDecoder.decode(resource(name + ".png")), spec(name))).isEqualTo(floats(resource(name + ".bin")));
  }

  @ParameterizedTest
  @CsvSource({"portrait-reduced, odd-margin", "odd-margin, portrait-reduced"})
  void shouldNotRememberThePictureBefore(String before, String name) throws IOException {
    Preprocessor preprocessor = new Preprocessor(spec(name));
    float[] expected = floats(resource(name + ".bin"));
    FloatBuffer found = FloatBuffer.allocate(expected.length);
    preprocessor.apply(ImageDecoder.decode(resource(before + ".png")), found);
    preprocessor.apply(ImageDecoder.decode(resource(name + ".png")), found);
    assertThat(found.array()).isEqualTo(expected);
  }

  @Test
  void shouldCatchAFilterWithoutAntialiasing() throws IOException {
    // The twin: taking the nearest pixel, as a resize without antialiasing does, is far from the fixture.
    Image image = ImageDecoder.decode(resource("reduced-far.png"));
    float[] expected = floats(resource("reduced-far.bin"));
    int nearest = image.rgb()[3 * (128 * image.width() + 165)] & 0xff;
    assertThat(Math.abs(expected[3 * 6 + 3] - (nearest / 255f - 0.5f) / 0.5f)).isGreaterThan(2 / 255f);
  }

  @ParameterizedTest
  @CsvSource({"1, 300000", "300000, 1", "2, 99999"})
  @Timeout(20)
  void shouldNeedNoMoreMemoryForAVeryLongPicture(int width, int height) {
    byte[] grey = new byte[3 * width * height];
    Arrays.fill(grey, (byte) 102);
    assertThat(tensor(new Image(width, height, grey, 0), PLAIN)).containsOnly(0.4f);
  }

  @Test
  void shouldNormaliseEachChannelByItsOwnMeanAndStd() {
    Preprocessing spec = new Preprocessing(1, 1, List.of(0.5f, 0f, 1f), List.of(0.5f, 1f, 2f));
    assertThat(tensor(new Image(1, 1, new byte[] {(byte) 255, 51, 0}, 0), spec)).containsExactly(1f, 0.2f, -0.5f);
  }

  private static float[] tensor(Image image, Preprocessing spec) {
    FloatBuffer out = FloatBuffer.allocate(3 * spec.crop() * spec.crop());
    new Preprocessor(spec).apply(image, out);
    return out.array();
  }

  private static Preprocessing spec(String name) throws IOException {
    Properties values = new Properties();
    try (InputStream in = open(name + ".properties")) {
      values.load(in);
    }
    return new Preprocessing(Integer.parseInt(values.getProperty("short_side")), Integer.parseInt(values.getProperty("crop")),
        channels(values.getProperty("mean")), channels(values.getProperty("std")));
  }

  private static List<Float> channels(String text) {
    return Stream.of(text.split(",")).map(Float::valueOf).toList();
  }

  private static float[] floats(byte[] bytes) {
    float[] out = new float[bytes.length / Float.BYTES];
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(out);
    return out;
  }

  private static byte[] resource(String name) throws IOException {
    try (InputStream in = open(name)) {
      return in.readAllBytes();
    }
  }

  private static InputStream open(String name) {
    return PreprocessorTest.class.getResourceAsStream("/preprocess/" + name);
  }
}
