package dev.coppice.bench;

import dev.coppice.Coppice;
import dev.coppice.api.Classifier;
import dev.coppice.api.Image;
import dev.coppice.api.Keep;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.RunOptions;
import java.nio.file.Path;
import java.util.Collections;
import jdk.jfr.Recording;

/** What a recording of every inference costs: {@code BUNDLE PAIRS}, runs of a small image in turn with and without, one thread, the fewest tokens. */
public final class RecordingCost {

  private static final int RUNS = 200;

  private RecordingCost() {}

  public static void main(String[] arguments) {
    int pairs = Integer.parseInt(arguments[1]);
    Image image = new Image(64, 48, new byte[3 * 64 * 48], 0);
    try (Classifier classifier = Coppice.open(Path.of(arguments[0]), OpenOptions.defaults().withThreads(1))) {
      RunOptions options = RunOptions.defaults().withKeep(Keep.counts(Collections.nCopies(classifier.bundle().stages(), 1).toArray(Integer[]::new)));
      for (int round = 0; round < 3; round++) { // the first one is warm-up
        double[] without = new double[pairs];
        double[] with = new double[pairs];
        double[] ratio = new double[pairs];
        for (int pair = 0; pair < pairs; pair++) {
          boolean first = pair % 2 == 0;
          double one = median(classifier, image, options, first);
          double other = median(classifier, image, options, !first);
          with[pair] = first ? one : other;
          without[pair] = first ? other : one;
          ratio[pair] = with[pair] / without[pair];
        }
        System.out.printf("median of %d pairs of %d runs: without %.1f us, with %.1f us, ratio of pairs %.4f%n", pairs, RUNS, Overhead.median(without),
            Overhead.median(with), Overhead.median(ratio));
      }
    }
  }

  private static double median(Classifier classifier, Image image, RunOptions options, boolean recorded) {
    double[] micros = new double[RUNS];
    try (Recording recording = new Recording()) {
      recording.enable("coppice.Inference");
      if (recorded) {
        recording.start();
      }
      for (int run = 0; run < RUNS; run++) {
        long start = System.nanoTime();
        classifier.classify(image, options);
        micros[run] = (System.nanoTime() - start) / 1e3;
      }
    }
    return Overhead.median(micros);
  }
}
