package dev.coppice.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.coppice.api.Image;
import dev.coppice.api.ImageException;
import java.awt.image.BufferedImage;
import java.awt.image.Raster;
import java.awt.image.WritableRaster;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.zip.CRC32;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriter;
import javax.imageio.stream.ImageOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class ImageDecoderTest {

  @TempDir private Path folder;

  @Test
  void shouldRefuseAFileThatIsNotThere() {
    assertRefused(folder.resolve("gone.jpg"), "image.missing", "gone.jpg: no such file; check the path.");
  }

  @Test
  void shouldRefuseAFolder() {
    assertRefused(folder, "image.unreadable", ": expected a JPEG or PNG file, found a folder; name the files in it.");
  }

  @Test
  void shouldRefuseAnEmptyFile() throws IOException {
    assertRefused(file("empty.png", new byte[0]), "image.format",
        "empty.png: expected a JPEG or PNG picture, found an empty file; convert it first.");
  }

  @Test
  void shouldRefuseTextNamedJpg() throws IOException {
    assertRefused(file("note.jpg", "not a picture".getBytes()), "image.format",
        "note.jpg: expected a JPEG or PNG picture, found something else; convert it first.");
  }

  @ParameterizedTest
  @CsvSource({"jpeg, 3", "jpeg, 20", "jpeg, 170", "jpeg, 50%", "jpeg, 90%", "png, 4", "png, 8", "png, 30", "png, 50%", "png, 90%"})
  void shouldRefuseATruncatedPicture(String format, String length) throws IOException {
    byte[] whole = encode(noise(), format);
    int bytes = length.endsWith("%") ? whole.length * Integer.parseInt(length.replace("%", "")) / 100 : Integer.parseInt(length);
    assertRefused(file("cut." + format, Arrays.copyOf(whole, bytes)), "image.damaged", "; save it again as JPEG or PNG.");
  }

  @ParameterizedTest
  @ValueSource(strings = {"jpeg", "png"})
  void shouldRefuseAHeaderOf89MegapixelsBeforeDecoding(String format) throws IOException {
    byte[] claims = withSize(encode(noise(), format), format, 9408, 9472);
    assertRefused(file("large." + format, claims), "image.large", ": expected at most 33554432 pixels, found 9408x9472; shrink it.");
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void shouldRefuseFourColourPrintJpeg(boolean marked) throws IOException {
    byte[] picture = fourColourJpeg();
    assertRefused(file("print.jpg", marked ? marked(picture) : picture), "image.damaged",
        ": expected a complete RGB, grey or palette picture, found a damaged or unsupported one (");
  }

  @Test
  void shouldReadRgbPngExactly() throws IOException {
    BufferedImage image = new BufferedImage(3, 1, BufferedImage.TYPE_INT_RGB);
    image.setRGB(0, 0, 3, 1, new int[] {0x010203, 0xfffefd, 0x808182}, 0, 3);
    assertThat(decode(image).pixels().array()).containsExactly(1, 2, 3, 255, 254, 253, 128, 129, 130);
  }

  @ParameterizedTest
  @ValueSource(ints = {BufferedImage.TYPE_BYTE_GRAY, BufferedImage.TYPE_USHORT_GRAY})
  void shouldReadGreyLevelsAsTheyAre(int type) throws IOException {
    BufferedImage image = new BufferedImage(3, 1, type);
    int scale = type == BufferedImage.TYPE_BYTE_GRAY ? 1 : 257;
    image.getRaster().setSamples(0, 0, 3, 1, 0, new int[] {0, 100 * scale, 255 * scale});
    assertThat(decode(image).pixels().array()).containsExactly(0, 0, 0, 100, 100, 100, 255, 255, 255);
  }

  @Test
  void shouldReadBlackAndWhite() throws IOException {
    BufferedImage image = new BufferedImage(9, 1, BufferedImage.TYPE_BYTE_BINARY);
    image.setRGB(8, 0, 0xffffff);
    assertThat(Arrays.copyOfRange(decode(image).pixels().array(), 21, 27)).containsExactly(0, 0, 0, 255, 255, 255);
  }

  @Test
  void shouldReadAPalette() throws IOException {
    BufferedImage image = new BufferedImage(2, 1, BufferedImage.TYPE_BYTE_INDEXED);
    image.setRGB(0, 0, 0xff0000);
    image.setRGB(1, 0, 0x0000ff);
    assertThat(decode(image).pixels().array()).containsExactly(255, 0, 0, 0, 0, 255);
  }

  @Test
  void shouldDropAlphaAndKeepTheColourBelow() throws IOException {
    BufferedImage image = new BufferedImage(2, 1, BufferedImage.TYPE_INT_ARGB);
    image.setRGB(0, 0, 0x00112233);
    image.setRGB(1, 0, 0x80445566);
    assertThat(decode(image).pixels().array()).containsExactly(0x11, 0x22, 0x33, 0x44, 0x55, 0x66);
  }

  @Test
  void shouldReadJpegNearTheColourThatWasSaved() throws IOException {
    BufferedImage image = new BufferedImage(16, 16, BufferedImage.TYPE_INT_RGB);
    image.setRGB(0, 0, 16, 16, ints(256, 0x406080), 0, 16);
    byte[] rgb = ImageDecoder.decode(encode(image, "jpeg")).pixels().array();
    // One level from each of two colour conversions, one from quantisation at quality 0.75.
    for (int channel = 0; channel < 3; channel++) {
      assertThat(rgb[channel] & 0xff).isCloseTo(0x40 + 0x20 * channel, within(3));
    }
  }

  @Test
  void shouldMeasureTheTimeOfDecoding() throws IOException {
    assertThat(ImageDecoder.read(file("photo.png", encode(noise(), "png"))).decodeNanos()).isPositive();
  }

  private static void assertRefused(Path file, String code, String sentence) {
    assertThatThrownBy(() -> ImageDecoder.read(file)).isInstanceOf(ImageException.class).hasMessageStartingWith(file.toString())
        .hasMessageContaining(sentence).extracting("code").isEqualTo(code);
  }

  private Path file(String name, byte[] bytes) throws IOException {
    return Files.write(folder.resolve(name), bytes);
  }

  private static Image decode(BufferedImage image) throws IOException {
    return ImageDecoder.decode(encode(image, "png"));
  }

  private static byte[] encode(BufferedImage image, String format) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    assertThat(ImageIO.write(image, format, out)).isTrue();
    return out.toByteArray();
  }

  private static BufferedImage noise() {
    BufferedImage image = new BufferedImage(61, 47, BufferedImage.TYPE_INT_RGB);
    image.setRGB(0, 0, 61, 47, new java.util.Random(1).ints(61 * 47, 0, 1 << 24).toArray(), 0, 61);
    return image;
  }

  private static int[] ints(int count, int value) {
    int[] out = new int[count];
    Arrays.fill(out, value);
    return out;
  }

  private static byte[] withSize(byte[] picture, String format, int width, int height) {
    ByteBuffer bytes = ByteBuffer.wrap(picture.clone());
    if (format.equals("png")) {
      bytes.putInt(16, width).putInt(20, height);
      CRC32 check = new CRC32();
      check.update(bytes.array(), 12, 17);
      bytes.putInt(29, (int) check.getValue());
    } else {
      int frame = new String(picture, java.nio.charset.StandardCharsets.ISO_8859_1).indexOf("\u00ff\u00c0");
      bytes.putShort(frame + 5, (short) height).putShort(frame + 7, (short) width);
    }
    return bytes.array();
  }

  private static byte[] fourColourJpeg() throws IOException {
    WritableRaster cmyk = Raster.createInterleavedRaster(java.awt.image.DataBuffer.TYPE_BYTE, 16, 16, 4, null);
    ImageWriter writer = ImageIO.getImageWritersByFormatName("jpeg").next();
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (ImageOutputStream stream = ImageIO.createImageOutputStream(out)) {
      writer.setOutput(stream);
      writer.write(new IIOImage(cmyk, null, null));
    } finally {
      writer.dispose();
    }
    return out.toByteArray();
  }

  /** Adds Adobe's marker, which says that four components are cyan, magenta, yellow and black. */
  private static byte[] marked(byte[] jpeg) {
    byte[] marker = {(byte) 0xff, (byte) 0xee, 0, 14, 'A', 'd', 'o', 'b', 'e', 0, 100, 0, 0, 0, 0, 0};
    return ByteBuffer.allocate(jpeg.length + marker.length).put(jpeg, 0, 2).put(marker).put(jpeg, 2, jpeg.length - 2).array();
  }
}
