package dev.coppice.api;

/**
 * A model ready to run. Safe for use by many threads, which take turns; one run already uses all of its threads.
 *
 * <p>After {@link #close()} every run throws {@link IllegalStateException}.
 */
public interface Classifier extends AutoCloseable {

  /** What the bundle says about itself. */
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
   * Runs the bundle's golden cases: inputs with the outputs that its author saw.
   *
   * @throws BundleException if this machine computes something else
   */
  void selfTest();

  /** Waits for the run in progress, ends it after {@link OpenOptions#closeLimit()}, and frees the model. Harmless when repeated. */
  @Override
  void close();
}
