package dev.coppice.pipeline;

import dev.coppice.api.BundleException;
import dev.coppice.api.BundleInfo;
import dev.coppice.api.Classifier;
import dev.coppice.api.Image;
import dev.coppice.api.Keep;
import dev.coppice.api.Label;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.Result;
import dev.coppice.api.RunOptions;
import dev.coppice.api.Rung;
import dev.coppice.api.Timings;
import dev.coppice.bundle.Bundle;
import dev.coppice.engine.Engine;
import dev.coppice.tensor.LongTensor;
import java.nio.FloatBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;

/** The straight line: image to tensor, tensor to logits, logits to labels. */
public final class Pipeline implements Classifier {

  private static final long AGAIN_NANOS = 10_000_000;

  private final Bundle bundle;
  private final Engine engine;
  private final Duration closeLimit;
  private final Telemetry telemetry;
  // One run at a time, and none while the engine closes: ONNX Runtime crashes the JVM when it closes under a run.
  private final ReentrantLock turn = new ReentrantLock(true);
  private final Object ending = new Object();
  private volatile boolean closing;
  private boolean closed; // guarded by ending
  private volatile Choice last;

  /** What was asked for, and what it means for this bundle. */
  private record Choice(Optional<Keep> keep, Bundle.Budget budget) {}

  /** Takes over the engine and closes it in {@link #close()}. */
  public Pipeline(Bundle bundle, Engine engine, OpenOptions options) {
    this.closeLimit = options.closeLimit();
    this.telemetry = new Telemetry(bundle.info(), options.metrics());
    this.bundle = bundle;
    this.engine = engine;
  }

  @Override
  public BundleInfo bundle() {
    return bundle.info();
  }

  /** What a scheduler may choose from. */
  List<Rung> rungs() {
    return bundle.rungs();
  }

  /** For a scheduler, which measures the rungs before anybody else runs. */
  Engine engine() {
    return engine;
  }

  /** Where what happens is told; a scheduler tells of its own runs. */
  Telemetry telemetry() {
    return telemetry;
  }

  @Override
  public Result classify(Image image, RunOptions options) {
    long asked = System.nanoTime();
    InferenceEvent event = telemetry.begin();
    Result result = run(image, options);
    long worked = result.timings().total() - result.timings().decode();
    telemetry.ran(event, result, System.nanoTime() - asked - worked, Long.MAX_VALUE, Double.NaN);
    return result;
  }

  /** The line itself, untold. */
  Result run(Image image, RunOptions options) {
    Objects.requireNonNull(image, "image");
    Bundle.Budget budget = budget(Objects.requireNonNull(options, "options").keep());
    turn.lock();
    try {
      requireOpen();
      long start = System.nanoTime();
      engine.load(image);
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
  public void infer(FloatBuffer tensor, RunOptions options, FloatBuffer logits) {
    Objects.requireNonNull(options, "options");
    Objects.requireNonNull(logits, "logits");
    requireRoom("tensor", Objects.requireNonNull(tensor, "tensor"), engine.image().elements());
    requireRoom("logits", logits, bundle.info().labels().size());
    if (logits.isReadOnly()) {
      throw new IllegalArgumentException("logits must be a buffer that can be written, found a read-only one.");
    }
    Bundle.Budget budget = budget(options.keep());
    turn.lock();
    try {
      requireOpen();
      engine.run(tensor, budget.keep(), logits);
    } finally {
      turn.unlock();
    }
  }

  private static void requireRoom(String name, FloatBuffer buffer, int elements) {
    if (buffer.remaining() < elements) {
      throw new IllegalArgumentException(name + " must have room for " + elements + " floats, found " + buffer.remaining() + ".");
    }
  }

  /** Frame after frame asks for the same: it is looked up without allocating. */
  private Bundle.Budget budget(Optional<Keep> keep) {
    Choice choice = last;
    if (choice == null || !choice.keep.equals(keep)) {
      choice = new Choice(keep, bundle.budget(keep));
      last = choice;
    }
    return choice.budget;
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

  /** Ends the run in progress, if there is one. */
  void terminate() {
    synchronized (ending) {
      if (!closed) {
        engine.terminate();
      }
    }
  }

  @Override
  public void close() {
    closing = true; // those that wait for their turn are refused when they get it
    boolean interrupted = awaitTurn();
    try {
      synchronized (ending) {
        if (!closed) {
          closed = true;
          engine.close();
          telemetry.closed();
        }
      }
    } finally {
      turn.unlock();
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** Takes the turn, from the limit on by force; whether the thread was interrupted meanwhile. */
  private boolean awaitTurn() {
    boolean interrupted = false;
    boolean ended = false;
    long deadline = System.nanoTime() + closeLimit.toNanos();
    while (true) {
      try {
        if (turn.tryLock(Math.max(AGAIN_NANOS, deadline - System.nanoTime()), TimeUnit.NANOSECONDS)) {
          return interrupted;
        }
        if (!ended) {
          ended = true;
          telemetry.terminated(closeLimit.toMillis());
        }
        terminate(); // again and again: between two runs it has no effect
      } catch (InterruptedException later) {
        interrupted = true;
      }
    }
  }

  private void requireOpen() {
    if (closing) {
      throw new IllegalStateException("The classifier of bundle \"" + bundle.info().name() + "\" is closed.");
    }
  }

  static List<List<Integer>> positions(List<LongTensor> kept) {
    List<List<Integer>> out = new ArrayList<>(kept.size());
    for (LongTensor stage : kept) {
      List<Integer> positions = new ArrayList<>(stage.data().capacity());
      for (int i = 0; i < stage.data().capacity(); i++) {
        if (stage.data().get(i) >= 0) { // -1: fewer tokens than the budget, or one that stands for several pruned ones
          positions.add((int) stage.data().get(i));
        }
      }
      positions.sort(null); // merging leaves tokens in an order of its own
      out.add(positions);
    }
    return out;
  }
}
