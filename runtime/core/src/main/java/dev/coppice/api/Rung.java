package dev.coppice.api;

import java.util.List;
import java.util.Objects;
import java.util.OptionalDouble;

/**
 * A named token budget of a bundle.
 *
 * @param name as used in {@link Keep#rung(String)}
 * @param keep patch tokens that each reduction stage keeps
 * @param macs multiply-adds for one image
 * @param keepFrom the smallest {@link Keep#ratio(double)} that selects this rung
 * @param top1 accuracy in percent on the bundle's validation data, if measured
 */
public record Rung(String name, List<Integer> keep, long macs, double keepFrom, OptionalDouble top1) {

  /** Copies the counts. */
  public Rung {
    Objects.requireNonNull(name, "name");
    Objects.requireNonNull(top1, "top1");
    keep = List.copyOf(Objects.requireNonNull(keep, "keep"));
  }
}
