package dev.coppice.image;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.coppice.api.Image;
import dev.coppice.api.ImageException;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.stream.Stream;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.stream.ImageOutputStream;
import org.junit.jupiter.params.provider.MethodSource;

/** Whatever the bytes: a picture of the size that it says, or one sentence. */
final class ImageFuzzTest {

  static Stream<byte[]> pictures() throws IOException {
    return Stream.of(encoded("png", BufferedImage.TYPE_INT_RGB, false), encoded("png", BufferedImage.TYPE_BYTE_INDEXED, false),
        encoded("png", BufferedImage.TYPE_USHORT_GRAY, true), encoded("png", BufferedImage.TYPE_4BYTE_ABGR, true), encoded("jpeg", BufferedImage.TYPE_INT_RGB, false),
        encoded("jpeg", BufferedImage.TYPE_BYTE_GRAY, false), encoded("jpeg", BufferedImage.TYPE_INT_RGB, true));
  }

  @MethodSource("pictures")
  @FuzzTest
  void picture(byte[] data) {
    try {
      Image image = ImageDecoder.decode(data);
      assertThat(image.pixels().remaining()).isEqualTo(3 * image.width() * image.height());
    } catch (ImageException refused) {
      assertThat(refused.getMessage()).hasSizeLessThanOrEqualTo(2000).matches("\\P{Cc}*");
    }
  }

  private static byte[] encoded(String format, int type, boolean progressive) throws IOException {
    BufferedImage image = new BufferedImage(9, 7, type);
    for (int i = 0; i < 63; i++) {
      image.setRGB(i % 9, i / 9, 0x010307 * i | 0xff000000);
    }
    ImageWriter writer = ImageIO.getImageWritersByFormatName(format).next();
    ImageWriteParam how = writer.getDefaultWriteParam();
    how.setProgressiveMode(progressive ? ImageWriteParam.MODE_DEFAULT : ImageWriteParam.MODE_DISABLED);
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (ImageOutputStream stream = ImageIO.createImageOutputStream(out)) {
      writer.setOutput(stream);
      writer.write(null, new IIOImage(image, null, null), how);
    } finally {
      writer.dispose();
    }
    return out.toByteArray();
  }
}
