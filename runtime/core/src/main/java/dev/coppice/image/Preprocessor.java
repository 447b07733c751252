package dev.coppice.image;

import dev.coppice.api.Image;
import dev.coppice.api.Preprocessing;
import java.nio.FloatBuffer;

/**
 * Pixels to a model's input tensor, channel first, as {@code coppice_export/preprocess.py} does it. Not safe for use by two
 * threads at once: its buffers are reused.
 */
public final class Preprocessor {

  private final Preprocessing spec;
  private final Resampler resampler;
  // (x / 255 - mean) / std of every level, by channel: the same float arithmetic as numpy's.
  private final float[][] normalised = new float[3][256];

  /** A preprocessor for one model. */
  public Preprocessor(Preprocessing spec) {
    this.spec = spec;
    this.resampler = new Resampler(spec.crop());
    for (int channel = 0; channel < 3; channel++) {
      for (int level = 0; level < 256; level++) {
        normalised[channel][level] = (level / 255f - spec.mean().get(channel)) / spec.std().get(channel);
      }
    }
  }

  /** Writes {@code 3 * crop * crop} floats to the start of {@code tensor}. */
  public void apply(Image image, FloatBuffer tensor) {
    int side = spec.shortSide();
    boolean portrait = image.width() <= image.height();
    long width = portrait ? side : (long) image.width() * side / image.height();
    long height = portrait ? (long) image.height() * side / image.width() : side;
    int crop = spec.crop();
    long left = (long) Math.rint((width - crop) / 2.0);
    long top = (long) Math.rint((height - crop) / 2.0);
    byte[] square = resampler.square(image.rgb(), image.width(), image.height(), width, height, left, top);
    int at = 0;
    for (int channel = 0; channel < 3; channel++) {
      float[] levels = normalised[channel];
      for (int from = channel; from < 3 * crop * crop; from += 3) {
        tensor.put(at++, levels[square[from] & 0xff]);
      }
    }
  }
}
