package dev.coppice.api;

import java.util.List;
import java.util.Objects;
import java.util.Optional;

/**
 * What a model says of an image.
 *
 * @param labels best first; equal scores by lower index
 * @param rung the rung that was run, if the budget was one
 * @param keep the budget: patch tokens kept at each stage, at most so many where the picture decides
 * @param kept positions in the full token grid that survived each stage, ascending: prefix tokens, then patches in
 *     raster order
 * @param timings nanoseconds of each arrow
 */
public record Result(
    List<Label> labels, Optional<String> rung, List<Integer> keep, List<List<Integer>> kept, Timings timings) {

  /** Copies the lists. */
  public Result {
    Objects.requireNonNull(rung, "rung");
    Objects.requireNonNull(timings, "timings");
    labels = List.copyOf(Objects.requireNonNull(labels, "labels"));
    keep = List.copyOf(Objects.requireNonNull(keep, "keep"));
    kept = Objects.requireNonNull(kept, "kept").stream().map(List::copyOf).toList();
  }
}
