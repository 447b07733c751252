package dev.coppice.api;

/**
 * A model ready to run. Safe for use by many threads, which take turns; one run already uses all of its threads.
 *
 * <p>After {@link #close()}, which waits for a run in progress, every run throws {@link IllegalStateException}.
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
   * @throws NativeException if the run fails
   */
  Result classify(Image image, RunOptions options);

  /**
   * Runs the bundle's golden cases: inputs with the outputs that its author saw.
   *
   * @throws BundleException if this machine computes something else
   */
  void selfTest();

  /** Frees the model; harmless when repeated. */
  @Override
  void close();
}
