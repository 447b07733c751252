package dev.coppice.cli;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.geom.Ellipse2D;
import java.awt.geom.Path2D;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import javax.imageio.ImageIO;

/** Draws as PNG, two pixels a point. */
final class PngPen implements Pen {

  private static final int SCALE = 2;
  private static final int TRANSPARENT = 0x33000000;

  private final Graphics2D graphics;

  private PngPen(Graphics2D graphics) {
    this.graphics = graphics;
  }

  static byte[] drawn(CurveChart chart) throws IOException {
    BufferedImage image = new BufferedImage(SCALE * CurveChart.WIDTH, SCALE * CurveChart.HEIGHT, BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = image.createGraphics();
    graphics.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON);
    graphics.setRenderingHint(RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON);
    graphics.setColor(Color.WHITE);
    graphics.fillRect(0, 0, image.getWidth(), image.getHeight());
    graphics.scale(SCALE, SCALE);
    chart.draw(new PngPen(graphics));
    graphics.dispose();
    ByteArrayOutputStream png = new ByteArrayOutputStream();
    ImageIO.write(image, "png", png);
    return png.toByteArray();
  }

  @Override
  public void line(double[] x, double[] y, int rgb, double width) {
    graphics.setColor(new Color(rgb));
    graphics.setStroke(new BasicStroke((float) width, BasicStroke.CAP_BUTT, BasicStroke.JOIN_ROUND));
    graphics.draw(path(x, y));
  }

  @Override
  public void shade(double[] x, double[] y, int rgb) {
    graphics.setColor(new Color(TRANSPARENT | rgb, true));
    Path2D path = path(x, y);
    path.closePath();
    graphics.fill(path);
  }

  @Override
  public void dot(double x, double y, double radius, int rgb) {
    graphics.setColor(new Color(rgb));
    graphics.fill(new Ellipse2D.Double(x - radius, y - radius, 2 * radius, 2 * radius));
  }

  @Override
  public void text(double x, double y, String text, int size, int rgb, Anchor anchor) {
    graphics.setColor(new Color(rgb));
    graphics.setFont(new Font(Font.SANS_SERIF, Font.PLAIN, size));
    int width = graphics.getFontMetrics().stringWidth(text);
    double left = switch (anchor) {
      case START -> x;
      case MIDDLE -> x - width / 2.0;
      case END -> x - width;
    };
    graphics.drawString(text, (float) left, (float) y);
  }

  private static Path2D path(double[] x, double[] y) {
    Path2D path = new Path2D.Double();
    path.moveTo(x[0], y[0]);
    for (int i = 1; i < x.length; i++) {
      path.lineTo(x[i], y[i]);
    }
    return path;
  }
}
