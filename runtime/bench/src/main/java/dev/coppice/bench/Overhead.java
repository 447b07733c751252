package dev.coppice.bench;

import dev.coppice.api.Keep;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.RunOptions;
import dev.coppice.api.Trust;
import dev.coppice.bundle.Bundle;
import dev.coppice.ops.OperatorLibrary;
import dev.coppice.ort.OrtEngine;
import dev.coppice.ort.SessionOf;
import dev.coppice.ort.SessionSettings;
import dev.coppice.pipeline.Pipeline;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Random;

/**
 * What {@code Classifier.infer} adds to a run of the same session with pinned outputs from and to the same buffers, and what the same run adds to
 * itself, which is what can be told apart: {@code BUNDLE RUNS}, one thread, the fewest tokens. The ways take turns in random order, each for a block
 * of runs, as a service runs: in turns of one run each way would find the caches as the others left them, and what ran less often would pay for it.
 */
public final class Overhead {

  private static final int WAYS = 3;
  private static final int BLOCK = 20;
  private static final int UNCOUNTED = 3; // of a block, until the caches are its own

  private Overhead() {}

  public static void main(String[] arguments) throws Exception {
    int runs = Integer.parseInt(arguments[1]);
    OpenOptions open = OpenOptions.defaults().withThreads(1);
    Bundle bundle = Bundle.read(Path.of(arguments[0]), Trust.off());
    OrtEngine engine = new OrtEngine(bundle.graph(), bundle.model(), bundle.info().preprocessing(), OperatorLibrary.load(),
        SessionSettings.of(open, Path.of("/")), Optional.empty());
    List<Integer> keep = Collections.nCopies(bundle.info().stages(), 1);
    int crop = bundle.info().preprocessing().crop();
    FloatBuffer tensor = Bare.floats(3L * crop * crop);
    FloatBuffer logits = Bare.floats(bundle.info().labels().size());
    RunOptions options = RunOptions.defaults().withKeep(Keep.counts(keep.toArray(Integer[]::new)));
    try (Pipeline pipeline = new Pipeline(bundle, engine, open); Bare bare = Bare.on(SessionOf.engine(engine), keep, tensor, logits)) {
      Random random = new Random(1);
      for (int round = 0; round < 5; round++) { // the first ones are warm-up
        double[][] micros = new double[WAYS][runs / BLOCK];
        for (int block = 0; block < runs / BLOCK; block++) {
          int first = random.nextInt(WAYS);
          int step = 1 + random.nextInt(WAYS - 1);
          for (int turn = 0; turn < WAYS; turn++) {
            int way = (first + turn * step) % WAYS;
            double[] times = new double[BLOCK];
            for (int run = 0; run < BLOCK; run++) {
              long start = System.nanoTime();
              if (way == 0) {
                pipeline.infer(tensor, options, logits);
              } else {
                bare.run();
              }
              times[run] = (System.nanoTime() - start) / 1e3;
            }
            micros[way][block] = median(Arrays.copyOfRange(times, UNCOUNTED, BLOCK));
          }
        }
        System.out.printf("median of %d blocks: bare %.2f us, Coppice %.2f us; difference of pairs %.2f us, of bare runs among themselves %.2f us%n", runs / BLOCK, median(micros[1]),
            median(micros[0]), median(differences(micros[0], micros[1])), median(differences(micros[2], micros[1])));
      }
    }
  }

  private static double[] differences(double[] values, double[] from) {
    double[] out = new double[values.length];
    Arrays.setAll(out, i -> values[i] - from[i]);
    return out;
  }

  static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return (sorted[(sorted.length - 1) / 2] + sorted[sorted.length / 2]) / 2;
  }
}
