package dev.coppice.child;

import dev.coppice.Coppice;
import dev.coppice.api.Classifier;
import dev.coppice.api.Image;
import dev.coppice.api.Keep;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.RunOptions;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * The program of a JVM that classifies for long and opens its bundle anew now and then: {@code BUNDLE RUNS RELOAD_EVERY}. After each hundredth of the
 * runs it prints its {@link Footprint} and the hundredth's p99 in nanoseconds.
 */
public final class Soak {

  private Soak() {}

  public static void main(String[] arguments) throws Exception {
    Path bundle = Path.of(arguments[0]);
    int part = Integer.parseInt(arguments[1]) / 100;
    int every = Integer.parseInt(arguments[2]);
    OpenOptions options = OpenOptions.defaults().withThreads(1);
    RunOptions few = RunOptions.defaults().withKeep(Keep.counts(1, 1));
    Image grey = new Image(64, 48, new byte[3 * 64 * 48], 0);
    Classifier classifier = Coppice.open(bundle, options);
    long[] nanos = new long[part];
    for (int line = 0; line < 100; line++) {
      for (int i = 0; i < part; i++) {
        if ((line * part + i) % every == every - 1) {
          classifier.close();
          classifier = Coppice.open(bundle, options);
        }
        long start = System.nanoTime();
        classifier.classify(grey, few);
        nanos[i] = System.nanoTime() - start;
      }
      Arrays.sort(nanos);
      System.out.println(Footprint.now() + " " + nanos[part * 99 / 100]);
    }
    classifier.close();
  }
}
