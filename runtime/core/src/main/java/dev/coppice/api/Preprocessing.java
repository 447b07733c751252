package dev.coppice.api;

import java.util.List;
import java.util.Objects;

/**
 * From pixels to a model's input: the short side is resized, the centre square cropped, each channel scaled to
 * {@code (x / 255 - mean) / std}.
 *
 * @param shortSide pixels of the short side after resizing
 * @param crop pixels of the square's edge, at most {@code shortSide}
 * @param mean of red, green and blue
 * @param std of red, green and blue, above 0
 */
public record Preprocessing(int shortSide, int crop, List<Float> mean, List<Float> std) {

  /** Checks the ranges. */
  public Preprocessing {
    if (crop < 1 || crop > shortSide || shortSide > 8192) {
      throw new IllegalArgumentException("1 <= crop <= shortSide <= 8192: crop=" + crop + ", shortSide=" + shortSide);
    }
    mean = List.copyOf(Objects.requireNonNull(mean, "mean"));
    std = List.copyOf(Objects.requireNonNull(std, "std"));
    if (mean.size() != 3 || std.size() != 3 || !(std.get(0) > 0 && std.get(1) > 0 && std.get(2) > 0)) {
      throw new IllegalArgumentException("mean and std need three values, std above 0: mean=" + mean + ", std=" + std);
    }
  }
}
