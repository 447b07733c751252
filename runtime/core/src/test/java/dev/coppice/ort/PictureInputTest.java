package dev.coppice.ort;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import dev.coppice.api.Image;
import dev.coppice.api.Preprocessing;
import dev.coppice.image.ImageDecoder;
import dev.coppice.ops.OperatorLibrary;
import dev.coppice.tensor.FloatTensor;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
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
final class PictureInputTest {

  private static final Preprocessing PLAIN = new Preprocessing(4, 4, List.of(0f, 0f, 0f), List.of(1f, 1f, 1f));

  @ParameterizedTest
  @ValueSource(strings = {"portrait-reduced", "landscape-reduced-and-cropped", "odd-margin", "tall-and-enlarged", "tall-and-reduced", "wide-and-enlarged",
      "same-size", "one-pixel", "reduced-far"})
  void shouldMakeExactlyTheTensorThatPythonMakes(String name) throws IOException, OrtException {
    assertThat(tensor(decode(name), spec(name))).isEqualTo(expected(name));
  }

  @ParameterizedTest
  @CsvSource({"portrait-reduced, odd-margin", "odd-margin, portrait-reduced"})
  void shouldNotRememberThePictureBefore(String before, String name) throws IOException, OrtException {
    FloatTensor found = FloatTensor.zeros(expected(name).length);
    try (PictureInput input = input(spec(name), found)) {
      input.load(decode(before));
      input.load(decode(name));
    }
    assertThat(floats(found)).isEqualTo(expected(name));
  }

  @Test
  void shouldSeeNewPixelsInTheSameBuffer() throws OrtException {
    FloatTensor found = FloatTensor.zeros(3);
    ByteBuffer camera = ByteBuffer.allocateDirect(3);
    Image frame = new Image(1, 1, Image.Layout.RGB, camera, 0);
    try (PictureInput input = input(new Preprocessing(1, 1, List.of(0f, 0f, 0f), List.of(1f, 1f, 1f)), found)) {
      input.load(frame);
      camera.put(0, new byte[] {(byte) 255, 51, 0});
      input.load(frame);
    }
    assertThat(floats(found)).containsExactly(1f, 0.2f, 0f);
  }

  @Test
  void shouldReadPixelsFromTheBuffersPositionOn() throws OrtException {
    ByteBuffer ring = ByteBuffer.allocateDirect(9).put(6, (byte) 255).position(6);
    assertThat(tensor(new Image(1, 1, Image.Layout.RGB, ring, 0), new Preprocessing(1, 1, List.of(0f, 0f, 0f), List.of(1f, 1f, 1f))))
        .containsExactly(1f, 0f, 0f);
  }

  @ParameterizedTest
  @CsvSource({"NV12, 16, 0", "NV12, 235, 1", "NV12, 125, 0.498039", "NV12_FULL_RANGE, 0, 0", "NV12_FULL_RANGE, 255, 1", "NV12_FULL_RANGE, 102, 0.4"})
  void shouldReadTheGreyOfAVideoPicture(Image.Layout layout, int luma, float level) throws OrtException {
    byte[] frame = new byte[8 * 6 * 3 / 2];
    Arrays.fill(frame, 0, 8 * 6, (byte) luma);
    Arrays.fill(frame, 8 * 6, frame.length, (byte) 128);
    for (float value : tensor(new Image(8, 6, layout, ByteBuffer.wrap(frame), 0), PLAIN)) {
      assertThat(value).isEqualTo(level, within(1e-6f)); // BT.601: 255 * 109 / 219 = 127 of 255
    }
  }

  @Test
  void shouldReadTheRedOfAVideoPicture() throws OrtException {
    byte[] frame = {76, 76, 76, 76, 85, (byte) 255}; // JFIF's Y, Cb and Cr of pure red, rounded
    float[] found = tensor(new Image(2, 2, Image.Layout.NV12_FULL_RANGE, ByteBuffer.wrap(frame), 0),
        new Preprocessing(2, 2, List.of(0f, 0f, 0f), List.of(1f, 1f, 1f)));
    assertThat(Arrays.copyOf(found, 4)).containsOnly(254 / 255f); // 76 + 1.402 * 127 = 254
    assertThat(Arrays.copyOfRange(found, 4, 12)).containsOnly(0f);
  }

  @Test
  void shouldCatchAFilterWithoutAntialiasing() throws IOException {
    // The twin: taking the nearest pixel, as a resize without antialiasing does, is far from the fixture.
    Image image = decode("reduced-far");
    float[] expected = expected("reduced-far");
    int nearest = image.pixels().array()[3 * (128 * image.width() + 165)] & 0xff;
    assertThat(Math.abs(expected[3 * 6 + 3] - (nearest / 255f - 0.5f) / 0.5f)).isGreaterThan(2 / 255f);
  }

  @ParameterizedTest
  @CsvSource({"1, 300000", "300000, 1", "2, 99999"})
  @Timeout(20)
  void shouldNeedNoMoreMemoryForAVeryLongPicture(int width, int height) throws OrtException {
    byte[] grey = new byte[3 * width * height];
    Arrays.fill(grey, (byte) 102);
    assertThat(tensor(new Image(width, height, grey, 0), PLAIN)).containsOnly(0.4f);
  }

  @Test
  void shouldNormaliseEachChannelByItsOwnMeanAndStd() throws OrtException {
    Preprocessing spec = new Preprocessing(1, 1, List.of(0.5f, 0f, 1f), List.of(0.5f, 1f, 2f));
    assertThat(tensor(new Image(1, 1, new byte[] {(byte) 255, 51, 0}, 0), spec)).containsExactly(1f, 0.2f, -0.5f);
  }

  private static float[] tensor(Image image, Preprocessing spec) throws OrtException {
    FloatTensor out = FloatTensor.zeros(1, 3, spec.crop(), spec.crop());
    try (PictureInput input = input(spec, out)) {
      input.load(image);
    }
    return floats(out);
  }

  private static PictureInput input(Preprocessing spec, FloatTensor out) throws OrtException {
    OperatorLibrary library = OperatorLibrary.load();
    OrtEnvironment environment = OrtEnvironment.getEnvironment();
    PictureInput.Sessions sessions = graph -> {
      try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
        options.registerCustomOpLibrary(library.file().toString());
        options.setIntraOpNumThreads(2);
        return environment.createSession(graph, options);
      }
    };
    return new PictureInput(environment, sessions, spec, OnnxTensor.createTensor(environment, out.data(), new long[] {1, 3, spec.crop(), spec.crop()}));
  }

  private static float[] floats(FloatTensor tensor) {
    float[] out = new float[tensor.elements()];
    tensor.data().get(0, out);
    return out;
  }

  private static Image decode(String name) throws IOException {
    return ImageDecoder.decode(resource(name + ".png"));
  }

  private static float[] expected(String name) throws IOException {
    return floats(resource(name + ".bin"));
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
    return PictureInputTest.class.getResourceAsStream("/preprocess/" + name);
  }
}
