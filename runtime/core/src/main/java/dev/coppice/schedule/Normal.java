package dev.coppice.schedule;

/** The standard normal distribution. */
final class Normal {

  private Normal() {}

  /** The x below which a share of 0.5..1 lies, to 4.5e-4 (Abramowitz and Stegun 26.2.23). */
  static double quantile(double share) {
    if (!(share >= 0.5 && share < 1)) {
      throw new IllegalArgumentException("share must be 0.5..1: " + share);
    }
    double t = Math.sqrt(-2 * Math.log(1 - share));
    return t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
  }
}
