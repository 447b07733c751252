package dev.coppice.api;

import java.nio.FloatBuffer;

/**
 * A model ready to run. Safe for use by many threads, which take turns; one run already uses all of its threads.
 *
 * <p>After {@link #close()} every run throws {@link IllegalStateException}.
 */
public interface Classifier extends AutoCloseable {

  /** What the bundle says about itself; of one that follows a store, the version that serves. */
  BundleInfo bundle();

  /** Classifies with the bundle's default budget. */
  default Result classify(Image image) {
    return classify(image, RunOptions.defaults());
  }

  /**
   * Classifies an image.
   *
   * @throws IllegalArgumentException if the budget does not fit the bundle
   * @throws NativeException if the run fails or is ended by {@link #close()}
   */
  Result classify(Image image, RunOptions options);

  /**
   * Runs the model alone, for a caller who prepares tensors and reads logits himself. Once a budget has been run, nothing is allocated here;
   * direct buffers in the processor's byte order are used in place, so keep to the same ones. {@link OpenOptions#metrics()} is not told.
   *
   * @param tensor float32 {@code [1, 3, crop, crop]} as {@link Preprocessing} makes it, from the buffer's position on, which stays
   * @param options the budget; {@link RunOptions#top()} means nothing here
   * @param logits receives one float a class, from the buffer's position on, which stays
   * @throws IllegalArgumentException if a buffer is too small or read-only, or the budget does not fit the bundle
   * @throws NativeException if the run fails or is ended by {@link #close()}
   */
  void infer(FloatBuffer tensor, RunOptions options, FloatBuffer logits);

  /**
   * Runs the bundle's golden cases: inputs with the outputs that its author saw. They are read from the bundle, and verified, each time.
   *
   * @throws BundleException if this machine computes something else, or the bundle has changed since it was opened
   */
  void selfTest();

  /** Waits for the run in progress, ends it after {@link OpenOptions#closeLimit()}, and frees the model. Harmless when repeated. */
  @Override
  void close();
}
