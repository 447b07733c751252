package dev.coppice.cli;

/** What a chart is drawn with, in points from the upper left corner. */
interface Pen {

  /** Where a text begins, lies around, or ends. */
  enum Anchor {
    START, MIDDLE, END
  }

  /** A line through these points. */
  void line(double[] x, double[] y, int rgb, double width);

  /** The inside of a polygon, mostly transparent. */
  void shade(double[] x, double[] y, int rgb);

  /** A filled disc. */
  void dot(double x, double y, double radius, int rgb);

  /** One line of text on its base line. */
  void text(double x, double y, String text, int size, int rgb, Anchor anchor);
}
