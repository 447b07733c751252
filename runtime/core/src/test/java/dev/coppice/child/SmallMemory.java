package dev.coppice.child;

import dev.coppice.Coppice;
import dev.coppice.api.Classifier;
import dev.coppice.api.Image;
import dev.coppice.api.ImageException;
import dev.coppice.api.OpenOptions;
import java.nio.file.Path;

/** The program of a JVM with little memory: it classifies {@code BUNDLE PICTURE LARGE-PICTURE RUNS}, where the large picture does not fit. */
public final class SmallMemory {

  private SmallMemory() {}

  /** Prints the refusal's code, and the most resident memory there ever was, in KiB. */
  public static void main(String[] arguments) throws Exception {
    int runs = Integer.parseInt(arguments[3]);
    try (Classifier classifier = Coppice.open(Path.of(arguments[0]), OpenOptions.defaults())) {
      for (int run = 0; run < runs; run++) {
        if (run % 100 == 50) {
          try {
            Coppice.image(Path.of(arguments[2]));
            throw new IllegalStateException("the large picture fits");
          } catch (ImageException refused) {
            if (run == 50) {
              System.out.println(refused.code());
            }
          }
        }
        Image image = Coppice.image(Path.of(arguments[1]));
        classifier.classify(image);
      }
    }
    System.out.println(Footprint.statusKibibytes("VmHWM"));
  }
}
