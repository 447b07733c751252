package dev.coppice.api;

/**
 * Nanoseconds spent on each arrow of the line from image bytes to labels.
 *
 * @param decode bytes to pixels; 0 for pixels that came decoded
 * @param preprocess pixels to input tensor
 * @param run input tensor to logits
 * @param rank logits to labels
 */
public record Timings(long decode, long preprocess, long run, long rank) {

  /** The sum of the arrows. */
  public long total() {
    return decode + preprocess + run + rank;
  }
}
