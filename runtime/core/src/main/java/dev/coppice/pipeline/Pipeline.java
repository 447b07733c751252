package dev.coppice.pipeline;

import dev.coppice.api.BundleException;
import dev.coppice.api.BundleInfo;
import dev.coppice.api.Classifier;
import dev.coppice.api.Image;
import dev.coppice.api.Label;
import dev.coppice.api.Result;
import dev.coppice.api.RunOptions;
import dev.coppice.api.Timings;
import dev.coppice.bundle.Bundle;
import dev.coppice.engine.Engine;
import dev.coppice.image.Preprocessor;
import dev.coppice.tensor.LongTensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.locks.ReentrantLock;

/** The straight line: image to tensor, tensor to logits, logits to labels. */
public final class Pipeline implements Classifier {

  private final Bundle bundle;
  private final Engine engine;
  private final Preprocessor preprocessor;
  // One run at a time, and none while the engine closes: ONNX Runtime crashes the JVM when it closes under a run.
  private final ReentrantLock turn = new ReentrantLock(true);
  private boolean closed;

  /** Takes over the engine and closes it in {@link #close()}. */
  public Pipeline(Bundle bundle, Engine engine) {
    this.bundle = bundle;
    this.engine = engine;
    this.preprocessor = new Preprocessor(bundle.info().preprocessing());
  }

  @Override
  public BundleInfo bundle() {
    return bundle.info();
  }

  @Override
  public Result classify(Image image, RunOptions options) {
    Objects.requireNonNull(image, "image");
    Bundle.Budget budget = bundle.budget(options.keep());
    turn.lock();
    try {
      requireOpen();
      long start = System.nanoTime();
      preprocessor.apply(image, engine.image().data());
      long preprocessed = System.nanoTime();
      Engine.Output output = engine.run(budget.keep());
      long ran = System.nanoTime();
      List<Label> labels = Ranking.top(output.logits().data(), bundle.info().labels(), options.top());
      long ranked = System.nanoTime();
      Timings timings = new Timings(image.decodeNanos(), preprocessed - start, ran - preprocessed, ranked - ran);
      return new Result(labels, budget.rung(), budget.keep(), positions(output.kept()), timings);
    } finally {
      turn.unlock();
    }
  }

  @Override
  public void selfTest() {
    turn.lock();
    try {
      requireOpen();
      for (Bundle.Golden golden : bundle.golden()) {
        engine.image().data().put(0, golden.image());
        float[] found = new float[golden.logits().length];
        engine.run(golden.keep()).logits().data().get(0, found);
        for (int i = 0; i < found.length; i++) {
          // Written so that NaN fails.
          if (!(Math.abs(found[i] - golden.logits()[i]) <= golden.tolerance())) {
            throw new BundleException("golden", "Bundle \"" + bundle.info().name() + "\", " + golden.name() + ": expected logit " + i + " = "
                + golden.logits()[i] + ", this machine computes " + found[i] + "; do not use it here, and send the output of `coppice doctor`.");
          }
        }
      }
    } finally {
      turn.unlock();
    }
  }

  @Override
  public void close() {
    turn.lock();
    try {
      if (!closed) {
        closed = true;
        engine.close();
      }
    } finally {
      turn.unlock();
    }
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("The classifier of bundle \"" + bundle.info().name() + "\" is closed.");
    }
  }

  private static List<List<Integer>> positions(List<LongTensor> kept) {
    List<List<Integer>> out = new ArrayList<>(kept.size());
    for (LongTensor stage : kept) {
      Integer[] positions = new Integer[stage.data().capacity()];
      for (int i = 0; i < positions.length; i++) {
        positions[i] = (int) stage.data().get(i);
      }
      out.add(List.of(positions));
    }
    return out;
  }
}
