package dev.coppice.image;

import dev.coppice.api.Image;
import dev.coppice.api.ImageException;
import java.awt.image.BufferedImage;
import java.awt.image.IndexColorModel;
import java.awt.image.Raster;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicReference;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.event.IIOReadWarningListener;
import javax.imageio.stream.MemoryCacheImageInputStream;

/** JPEG and PNG bytes to pixels. Sizes are read from the header and checked before anything is decoded. */
public final class ImageDecoder {

  /** Pictures of more pixels are refused: their header may be an attack, their memory is not to be had on a board. */
  public static final long MAX_PIXELS = 32L << 20;

  /** Larger files are refused unread. */
  public static final long MAX_FILE_BYTES = 256L << 20;

  private ImageDecoder() {}

  /** Reads and decodes a file. */
  public static Image read(Path file) {
    long start = System.nanoTime();
    byte[] bytes;
    try {
      if (Files.isDirectory(file)) {
        throw new ImageException("unreadable", file + ": expected a JPEG or PNG file, found a folder; name the files in it.");
      }
      if (Files.size(file) > MAX_FILE_BYTES) {
        throw new ImageException("large", file + ": expected at most " + MAX_FILE_BYTES + " bytes, found " + Files.size(file) + "; shrink it.");
      }
      bytes = Files.readAllBytes(file);
    } catch (NoSuchFileException e) {
      throw new ImageException("missing", file + ": no such file; check the path.", e);
    } catch (IOException e) {
      throw new ImageException("unreadable", file + ": cannot be read (" + e.getMessage() + "); check its permissions.", e);
    }
    return decode(bytes, file.toString(), start);
  }

  /** Decodes bytes that came from elsewhere. */
  public static Image decode(byte[] bytes) {
    return decode(bytes, "image", System.nanoTime());
  }

  private static Image decode(byte[] bytes, String source, long startNanos) {
    ImageReader reader = ImageIO.getImageReadersByFormatName(format(bytes, source)).next();
    AtomicReference<String> warning = new AtomicReference<>();
    IIOReadWarningListener listener = (origin, text) -> warning.compareAndSet(null, text);
    try (MemoryCacheImageInputStream stream = new MemoryCacheImageInputStream(new ByteArrayInputStream(bytes))) {
      reader.setInput(stream, true, true);
      reader.addIIOReadWarningListener(listener);
      int width = reader.getWidth(0);
      int height = reader.getHeight(0);
      if ((long) width * height > MAX_PIXELS) {
        throw new ImageException("large", source + ": expected at most " + MAX_PIXELS + " pixels, found " + width + "x" + height + "; shrink it.");
      }
      BufferedImage decoded = reader.read(0);
      // ImageIO fills the rest of a truncated JPEG with grey and only warns.
      if (warning.get() != null) {
        throw damaged(source, warning.get(), null);
      }
      if (reader.getFormatName().equalsIgnoreCase("jpeg") && decoded.getRaster().getNumBands() > 3) {
        throw damaged(source, "four colours", null); // for print; ImageIO may take them for red, green, blue and alpha
      }
      byte[] rgb = rgb(decoded);
      return new Image(width, height, rgb, System.nanoTime() - startNanos);
    } catch (IOException | RuntimeException e) {
      if (e instanceof ImageException refusal) {
        throw refusal;
      }
      if (e.getCause() instanceof OutOfMemoryError) {
        throw tooLargeForHeap(source, e);
      }
      throw damaged(source, String.valueOf(e.getMessage()), e);
    } catch (OutOfMemoryError e) {
      // The pixels did not fit; nothing else was asked for, so the heap is as it was before.
      throw tooLargeForHeap(source, e);
    } finally {
      reader.dispose();
    }
  }

  private static ImageException damaged(String source, String detail, Exception cause) {
    String text = detail.strip().replaceAll("\\.$", "");
    return new ImageException("damaged", source + ": expected a complete RGB, grey or palette picture, found a damaged or unsupported one ("
        + text + "); save it again as JPEG or PNG.", cause);
  }

  private static ImageException tooLargeForHeap(String source, Throwable cause) {
    return new ImageException("memory", source + ": expected a picture whose pixels fit into the Java heap of " + (Runtime.getRuntime().maxMemory() >> 20)
        + " MiB, found a larger one; shrink it, or give Java more with -Xmx.", cause);
  }

  private static String format(byte[] bytes, String source) {
    if (bytes.length >= 3 && (bytes[0] & 0xff) == 0xff && (bytes[1] & 0xff) == 0xd8 && (bytes[2] & 0xff) == 0xff) {
      return "jpeg";
    }
    if (bytes.length >= 4 && (bytes[0] & 0xff) == 0x89 && bytes[1] == 'P' && bytes[2] == 'N' && bytes[3] == 'G') {
      return "png";
    }
    String found = bytes.length == 0 ? "an empty file" : "something else";
    throw new ImageException("format", source + ": expected a JPEG or PNG picture, found " + found + "; convert it first.");
  }

  private static byte[] rgb(BufferedImage image) {
    int width = image.getWidth();
    int height = image.getHeight();
    byte[] out = new byte[3 * width * height];
    Raster raster = image.getRaster();
    boolean grey = raster.getNumBands() <= 2 && !(image.getColorModel() instanceof IndexColorModel);
    int[] row = new int[width];
    int at = 0;
    for (int y = 0; y < height; y++) {
      if (grey) {
        // getRGB would take grey for linear light and brighten it.
        raster.getSamples(0, y, width, 1, 0, row);
        int shift = Math.max(0, raster.getSampleModel().getSampleSize(0) - 8);
        for (int x = 0; x < width; x++) {
          byte level = (byte) (row[x] >> shift);
          out[at++] = level;
          out[at++] = level;
          out[at++] = level;
        }
      } else {
        image.getRGB(0, y, width, 1, row, 0, width);
        for (int x = 0; x < width; x++) {
          out[at++] = (byte) (row[x] >> 16);
          out[at++] = (byte) (row[x] >> 8);
          out[at++] = (byte) row[x];
        }
      }
    }
    return out;
  }
}
