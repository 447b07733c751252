package dev.coppice.image;

/**
 * Bicubic resizing with antialiasing, equal to Pillow's to the bit: weights in fixed point, a horizontal and a vertical
 * pass, each rounded to 8 bits. Models are trained on Pillow's pixels; see docs/decisions/0002.
 */
final class Resampler {

  private static final int PRECISION_BITS = 22;
  private static final double A = -0.5;
  private static final double SUPPORT = 2;

  /** Weights of the input pixels {@code first[i]..first[i] + count[i]} for each output pixel i. */
  private record Taps(int[] first, int[] count, int[] weights, int width) {}

  private Resampler() {}

  /** Resizes packed RGB pixels; returns {@code 3 * toWidth * toHeight} bytes. */
  static byte[] resize(byte[] rgb, int width, int height, int toWidth, int toHeight) {
    byte[] pixels = rgb;
    int rowWidth = width;
    if (toWidth != width) {
      pixels = horizontal(pixels, width, height, taps(width, toWidth), toWidth);
      rowWidth = toWidth;
    }
    return toHeight == height ? pixels : vertical(pixels, rowWidth, taps(height, toHeight), toHeight);
  }

  private static Taps taps(int from, int to) {
    double scale = (double) from / to;
    double filterScale = Math.max(scale, 1);
    double support = SUPPORT * filterScale;
    int width = (int) Math.ceil(support) * 2 + 1;
    int[] first = new int[to];
    int[] count = new int[to];
    int[] weights = new int[to * width];
    double[] exact = new double[width];
    for (int i = 0; i < to; i++) {
      double centre = (i + 0.5) * scale;
      int begin = Math.max(0, (int) (centre - support + 0.5));
      int end = Math.min(from, (int) (centre + support + 0.5));
      double sum = 0;
      for (int j = 0; j < end - begin; j++) {
        exact[j] = bicubic((j + begin - centre + 0.5) / filterScale);
        sum += exact[j];
      }
      for (int j = 0; j < end - begin; j++) {
        double weight = exact[j] / sum * (1 << PRECISION_BITS);
        weights[i * width + j] = (int) (weight < 0 ? weight - 0.5 : weight + 0.5);
      }
      first[i] = begin;
      count[i] = end - begin;
    }
    return new Taps(first, count, weights, width);
  }

  private static double bicubic(double position) {
    double x = Math.abs(position);
    if (x < 1) {
      return ((A + 2) * x - (A + 3)) * x * x + 1;
    }
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * A : 0;
  }

  private static byte[] horizontal(byte[] rgb, int width, int height, Taps taps, int toWidth) {
    byte[] out = new byte[3 * toWidth * height];
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < toWidth; x++) {
        int from = 3 * (y * width + taps.first[x]);
        accumulate(rgb, from, 3, taps, x, out, 3 * (y * toWidth + x));
      }
    }
    return out;
  }

  private static byte[] vertical(byte[] rgb, int width, Taps taps, int toHeight) {
    byte[] out = new byte[3 * width * toHeight];
    for (int y = 0; y < toHeight; y++) {
      for (int x = 0; x < width; x++) {
        int from = 3 * (taps.first[y] * width + x);
        accumulate(rgb, from, 3 * width, taps, y, out, 3 * (y * width + x));
      }
    }
    return out;
  }

  private static void accumulate(byte[] in, int from, int step, Taps taps, int tap, byte[] out, int to) {
    int red = 1 << (PRECISION_BITS - 1);
    int green = red;
    int blue = red;
    int weightAt = tap * taps.width;
    for (int j = 0, at = from; j < taps.count[tap]; j++, at += step) {
      int weight = taps.weights[weightAt + j];
      red += weight * (in[at] & 0xff);
      green += weight * (in[at + 1] & 0xff);
      blue += weight * (in[at + 2] & 0xff);
    }
    out[to] = clip(red);
    out[to + 1] = clip(green);
    out[to + 2] = clip(blue);
  }

  private static byte clip(int sum) {
    return (byte) Math.max(0, Math.min(255, sum >> PRECISION_BITS));
  }
}
