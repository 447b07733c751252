package dev.coppice.api;

import java.nio.ByteBuffer;
import java.util.Objects;

/**
 * Decoded pixels. Make one with {@code Coppice.image(...)}, or from a camera's bytes with these constructors.
 *
 * @param width pixels in a row, at least 1
 * @param height rows, at least 1
 * @param layout how the pixels lie
 * @param pixels from its position on; not copied, so leave them alone until the result is there. A direct buffer is read in place
 * @param decodeNanos time it took to decode the picture; 0 for pixels that came decoded
 */
public record Image(int width, int height, Layout layout, ByteBuffer pixels, long decodeNanos) {

  /** How pixels lie in memory. */
  public enum Layout {
    /** Red, green and blue of each pixel, row by row. */
    RGB,
    /** Rows of Y (16..235), then rows of U and V in turn, half as many and half as wide: a camera's BT.601 video. */
    NV12,
    /** The same with Y, U and V of 0..255. */
    NV12_FULL_RANGE
  }

  /** Checks that the bytes fit the size. */
  public Image {
    Objects.requireNonNull(layout, "layout");
    Objects.requireNonNull(pixels, "pixels");
    if (width < 1 || height < 1) {
      throw new IllegalArgumentException("width and height must be at least 1: " + width + "x" + height);
    }
    if (layout != Layout.RGB && (width % 2 != 0 || height % 2 != 0)) {
      throw new IllegalArgumentException("width and height must be even in layout " + layout + ": " + width + "x" + height);
    }
    long bytes = layout == Layout.RGB ? 3L * width * height : 3L * width * height / 2;
    if (pixels.remaining() != bytes) {
      throw new IllegalArgumentException(
          "pixels must have " + (layout == Layout.RGB ? "3 * width * height = " : "3 / 2 * width * height = ") + bytes + " bytes: " + pixels.remaining());
    }
    pixels = pixels.slice(); // its position is the caller's
  }

  /** A picture in layout {@link Layout#RGB}. */
  public Image(int width, int height, byte[] rgb, long decodeNanos) {
    this(width, height, Layout.RGB, ByteBuffer.wrap(Objects.requireNonNull(rgb, "rgb")), decodeNanos);
  }
}
