package dev.coppice.cli;

import java.util.Locale;

/** Draws as SVG. */
final class SvgPen implements Pen {

  private final StringBuilder svg = new StringBuilder();

  private SvgPen() {}

  static String drawn(CurveChart chart) {
    SvgPen pen = new SvgPen();
    pen.add("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" role=\"img\"><title>%s</title>%n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>%n",
        CurveChart.WIDTH, CurveChart.HEIGHT, escaped(chart.title()));
    chart.draw(pen);
    return pen.svg.append("</svg>\n").toString();
  }

  @Override
  public void line(double[] x, double[] y, int rgb, double width) {
    add("<path fill=\"none\" stroke=\"#%06x\" stroke-width=\"%.1f\" d=\"%s\"/>%n", rgb, width, path(x, y));
  }

  @Override
  public void shade(double[] x, double[] y, int rgb) {
    add("<path fill=\"#%06x\" fill-opacity=\"0.2\" d=\"%sZ\"/>%n", rgb, path(x, y));
  }

  @Override
  public void dot(double x, double y, double radius, int rgb) {
    add("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\" fill=\"#%06x\"/>%n", x, y, radius, rgb);
  }

  @Override
  public void text(double x, double y, String text, int size, int rgb, Anchor anchor) {
    add("<text x=\"%.1f\" y=\"%.1f\" font-size=\"%d\" fill=\"#%06x\" text-anchor=\"%s\">%s</text>%n", x, y, size, rgb, anchor.name().toLowerCase(Locale.ROOT), escaped(text));
  }

  private static String path(double[] x, double[] y) {
    StringBuilder path = new StringBuilder();
    for (int i = 0; i < x.length; i++) {
      path.append(String.format(Locale.ROOT, "%s%.1f %.1f", i == 0 ? "M" : "L", x[i], y[i]));
    }
    return path.toString();
  }

  private void add(String format, Object... values) {
    svg.append(String.format(Locale.ROOT, format, values));
  }

  private static String escaped(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
  }
}
