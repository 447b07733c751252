package dev.coppice.bench;

import dev.coppice.Coppice;
import dev.coppice.api.Classifier;
import dev.coppice.api.Keep;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.RunOptions;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** What {@code Classifier.infer} adds to a bare session's run: {@code BUNDLE RUNS}, runs in turn, one thread, the fewest tokens. */
public final class Overhead {

  private Overhead() {}

  public static void main(String[] arguments) throws Exception {
    Path bundle = Path.of(arguments[0]);
    int runs = Integer.parseInt(arguments[1]);
    try (Classifier classifier = Coppice.open(bundle, OpenOptions.defaults().withThreads(1))) {
      int stages = classifier.bundle().stages();
      List<Integer> keep = Collections.nCopies(stages, 1);
      int crop = classifier.bundle().preprocessing().crop();
      FloatBuffer tensor = Bare.floats(3L * crop * crop);
      FloatBuffer logits = Bare.floats(classifier.bundle().labels().size());
      RunOptions options = RunOptions.defaults().withKeep(Keep.counts(keep.toArray(Integer[]::new)));
      try (Bare bare = new Bare(bundle.resolve("model.onnx").toString(), Coppice.diagnostics().facts().get("operators"), keep)) {
        for (int round = 0; round < 5; round++) { // the first ones are warm-up
          double[] alone = new double[runs];
          double[] ours = new double[runs];
          double[] added = new double[runs];
          for (int i = 0; i < runs; i++) {
            long start = System.nanoTime();
            bare.run();
            long between = System.nanoTime();
            classifier.infer(tensor, options, logits);
            ours[i] = (System.nanoTime() - between) / 1e3;
            alone[i] = (between - start) / 1e3;
            added[i] = ours[i] - alone[i];
          }
          System.out.printf("median of %d: bare %.1f us, Coppice %.1f us, difference of pairs %.2f us%n", runs, median(alone), median(ours), median(added));
        }
      }
    }
  }

  static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return (sorted[(sorted.length - 1) / 2] + sorted[sorted.length / 2]) / 2;
  }
}
