package dev.coppice.api;

import java.util.Objects;

/**
 * Decoded pixels. Make one with {@code Coppice.image(...)}, or from a camera's bytes with this constructor.
 *
 * @param width pixels in a row, at least 1
 * @param height rows, at least 1
 * @param rgb red, green and blue of each pixel, row by row; {@code 3 * width * height} bytes, not copied
 * @param decodeNanos time it took to decode the picture; 0 for pixels that came decoded
 */
public record Image(int width, int height, byte[] rgb, long decodeNanos) {

  /** Checks that the bytes fit the size. */
  public Image {
    Objects.requireNonNull(rgb, "rgb");
    if (width < 1 || height < 1) {
      throw new IllegalArgumentException("width and height must be at least 1: " + width + "x" + height);
    }
    if (rgb.length != 3L * width * height) {
      throw new IllegalArgumentException(
          "rgb must have 3 * width * height = " + 3L * width * height + " bytes: " + rgb.length);
    }
  }
}
