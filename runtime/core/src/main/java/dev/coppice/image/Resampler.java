package dev.coppice.image;

/**
 * Bicubic resizing with antialiasing, equal to Pillow's to the bit: weights in fixed point, a horizontal and a vertical
 * pass, each rounded to 8 bits. Models are trained on Pillow's pixels; see docs/decisions/0002.
 */
final class Resampler {

  private static final int PRECISION_BITS = 22;
  private static final double A = -0.5;
  private static final double SUPPORT = 2;

  private final int edge;
  private final byte[] square;
  private byte[] rows = {};

  /** Weights of the input pixels {@code first[i]..first[i] + count[i]} for each output pixel i. */
  private record Taps(int[] first, int[] count, int[] weights, int width) {}

  /** A resampler that computes squares of {@code edge} pixels; its buffers are reused. */
  Resampler(int edge) {
    this.edge = edge;
    this.square = new byte[3 * edge * edge];
  }

  /**
   * The square at {@code left}, {@code top} of the packed RGB picture resized to {@code toWidth} times {@code toHeight},
   * valid until the next call. Nothing outside the square is computed, so that a very long picture needs no more memory.
   */
  byte[] square(byte[] rgb, int width, int height, long toWidth, long toHeight, long left, long top) {
    Taps across = taps(width, toWidth, left);
    Taps down = taps(height, toHeight, top);
    int firstRow = down.first[0];
    int endRow = down.first[edge - 1] + down.count[edge - 1];
    if (rows.length < 3 * edge * (endRow - firstRow)) {
      rows = new byte[3 * edge * (endRow - firstRow)];
    }
    for (int y = firstRow, to = 0; y < endRow; y++) {
      for (int x = 0; x < edge; x++, to += 3) {
        accumulate(rgb, 3 * (y * width + across.first[x]), 3, across, x, rows, to);
      }
    }
    for (int y = 0, to = 0; y < edge; y++) {
      for (int x = 0; x < edge; x++, to += 3) {
        accumulate(rows, 3 * ((down.first[y] - firstRow) * edge + x), 3 * edge, down, y, square, to);
      }
    }
    return square;
  }

  private Taps taps(int from, long to, long begin) {
    double scale = (double) from / to;
    double filterScale = Math.max(scale, 1);
    // At equal sizes the filter is 1 at the pixel and 0 at its neighbours.
    double support = from == to ? 0.5 : SUPPORT * filterScale;
    int width = (int) Math.ceil(support) * 2 + 1;
    int[] first = new int[edge];
    int[] count = new int[edge];
    int[] weights = new int[edge * width];
    double[] exact = new double[width];
    for (int i = 0; i < edge; i++) {
      double centre = (begin + i + 0.5) * scale;
      int low = Math.max(0, (int) (centre - support + 0.5));
      int high = Math.min(from, (int) (centre + support + 0.5));
      double sum = 0;
      for (int j = 0; j < high - low; j++) {
        exact[j] = bicubic((j + low - centre + 0.5) / filterScale);
        sum += exact[j];
      }
      for (int j = 0; j < high - low; j++) {
        double weight = exact[j] / sum * (1 << PRECISION_BITS);
        weights[i * width + j] = (int) (weight < 0 ? weight - 0.5 : weight + 0.5);
      }
      first[i] = low;
      count[i] = high - low;
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
