package dev.coppice.image;

import dev.coppice.api.Image;
import dev.coppice.api.Preprocessing;
import java.nio.FloatBuffer;

/** Pixels to a model's input tensor, channel first, as {@code coppice_export/preprocess.py} does it. */
public final class Preprocessor {

  private final Preprocessing spec;
  // (x / 255 - mean) / std of every level, by channel: the same float arithmetic as numpy's.
  private final float[][] normalised = new float[3][256];

  /** A preprocessor for one model. */
  public Preprocessor(Preprocessing spec) {
    this.spec = spec;
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
    double scale = (double) side / Math.min(image.width(), image.height());
    int width = portrait ? side : (int) (image.width() * scale);
    int height = portrait ? (int) (image.height() * scale) : side;
    byte[] resized = Resampler.resize(image.rgb(), image.width(), image.height(), width, height);
    int crop = spec.crop();
    int left = (int) Math.rint((width - crop) / 2.0);
    int top = (int) Math.rint((height - crop) / 2.0);
    int at = 0;
    for (int channel = 0; channel < 3; channel++) {
      float[] levels = normalised[channel];
      for (int y = top; y < top + crop; y++) {
        int from = 3 * (y * width + left) + channel;
        for (int x = 0; x < crop; x++, from += 3) {
          tensor.put(at++, levels[resized[from] & 0xff]);
        }
      }
    }
  }
}
