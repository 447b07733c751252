package dev.coppice.cli;

import dev.coppice.api.BundleInfo;
import dev.coppice.api.Image;
import dev.coppice.api.Result;
import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import javax.imageio.ImageIO;

/** The square that the model saw, and beside it the same for each stage with dropped tokens dimmed. */
final class KeptPicture {

  private static final int PANEL = 320;
  private static final int GAP = 12;
  private static final Color DIM = new Color(16, 18, 24, 215);

  private KeptPicture() {}

  static void write(Path folder, Path file, Image image, Result result, BundleInfo bundle) throws IOException {
    int panel = PANEL / bundle.grid() * bundle.grid();
    int panels = 1 + result.kept().size();
    BufferedImage sheet = new BufferedImage(panels * panel + (panels + 1) * GAP, panel + 2 * GAP, BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = sheet.createGraphics();
    graphics.setRenderingHint(RenderingHints.KEY_INTERPOLATION, RenderingHints.VALUE_INTERPOLATION_BICUBIC);
    graphics.setColor(Color.WHITE);
    graphics.fillRect(0, 0, sheet.getWidth(), sheet.getHeight());
    BufferedImage square = square(image, bundle);
    for (int number = 0; number < panels; number++) {
      int left = GAP + number * (panel + GAP);
      graphics.drawImage(square, left, GAP, panel, panel, null);
      if (number > 0) {
        dim(graphics, left, panel / bundle.grid(), result.kept().get(number - 1), bundle);
      }
    }
    graphics.dispose();
    String name = file.getFileName().toString().replaceFirst("\\.[A-Za-z]+$", "");
    Path target = folder.resolve(name + "-kept.png");
    try {
      Files.createDirectories(folder);
      // Not to the file itself: where that cannot be written ImageIO prints a stack trace and names no file.
      ByteArrayOutputStream png = new ByteArrayOutputStream();
      ImageIO.write(sheet, "png", png);
      Files.write(target, png.toByteArray());
    } catch (IOException e) {
      throw new IOException(target + ": the picture cannot be written (" + e + "); name a folder you can write to with --picture.", e);
    }
  }

  private static void dim(Graphics2D graphics, int left, int cell, List<Integer> kept, BundleInfo bundle) {
    Set<Integer> positions = new HashSet<>(kept);
    graphics.setColor(DIM);
    for (int patch = 0; patch < bundle.grid() * bundle.grid(); patch++) {
      if (!positions.contains(bundle.prefixTokens() + patch)) {
        graphics.fillRect(left + patch % bundle.grid() * cell, GAP + patch / bundle.grid() * cell, cell, cell);
      }
    }
  }

  private static BufferedImage square(Image image, BundleInfo bundle) {
    BufferedImage pixels = new BufferedImage(image.width(), image.height(), BufferedImage.TYPE_INT_RGB);
    byte[] rgb = image.pixels().array();
    for (int i = 0; i < image.width() * image.height(); i++) {
      int value = (rgb[3 * i] & 0xff) << 16 | (rgb[3 * i + 1] & 0xff) << 8 | rgb[3 * i + 2] & 0xff;
      pixels.setRGB(i % image.width(), i / image.width(), value);
    }
    int shortSide = Math.min(image.width(), image.height());
    int edge = Math.max(1, (int) ((long) shortSide * bundle.preprocessing().crop() / bundle.preprocessing().shortSide()));
    return pixels.getSubimage((image.width() - edge) / 2, (image.height() - edge) / 2, edge, edge);
  }
}
