package dev.coppice.schedule;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.DoubleUnaryOperator;

/**
 * A camera, a machine whose speed follows a trace, and somebody who chooses the rung of each frame.
 *
 * <p>One run at a time; a frame waits for the runs before it and has its deadline from its arrival. Every frame's run time
 * is drawn before anybody chooses, so that all meet the same machine.
 */
final class Simulation {

  /** ViT-Tiny at five budgets: top-1 of 500 photographs, milliseconds of one thread of an AMD EPYC, 2026-11-21. */
  static final List<LatencyLadder.Step> VIT_TINY =
      List.of(step(0, 72.4, 27.3), step(1, 71.4, 24.1), step(2, 69.2, 18.0), step(3, 57.6, 14.2), step(4, 31.8, 11.0));

  private static LatencyLadder.Step step(int rung, double accuracy, double millis) {
    return new LatencyLadder.Step(rung, accuracy, millis * 1e6, 0.02 * millis * 1e6);
  }

  /** A frame: when it comes, how slow the machine is then, and what the clock says of it. */
  record Frame(long arrivalNanos, double slowdown, double clockRatio) {}

  /** What became of the frames: on time, late, refused; mean accuracy of those on time. */
  record Outcome(int frames, int late, int refused, double accuracy, List<Integer> places) {
    double missRate() {
      return (double) (late + refused) / frames;
    }
  }

  /** Gives the place of the rung for a frame, or {@link BudgetController#NONE}. */
  interface Chooser {
    int choose(long nowNanos, long roomNanos, Frame frame, double trueRatio);

    default void ran(int place, long nowNanos, long runNanos, Frame frame) {}
  }

  private final List<LatencyLadder.Step> steps;
  private final List<Frame> frames;
  private final double[] noise;
  private final long deadlineNanos;

  Simulation(List<LatencyLadder.Step> steps, List<Frame> frames, double noise, long deadlineNanos, long seed) {
    this.steps = steps;
    this.frames = frames;
    this.deadlineNanos = deadlineNanos;
    Random random = new Random(seed);
    this.noise = new double[frames.size()];
    for (int i = 0; i < this.noise.length; i++) {
      this.noise[i] = Math.exp(noise * random.nextGaussian());
    }
  }

  /** Frames at a fixed distance; slowdown as a function of seconds, of which the clock knows if {@code clock}. */
  static List<Frame> camera(int count, long periodNanos, DoubleUnaryOperator slowdown, boolean clock) {
    List<Frame> frames = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      double slow = slowdown.applyAsDouble(i * periodNanos / 1e9);
      frames.add(new Frame(i * periodNanos, slow, clock ? slow : 1));
    }
    return frames;
  }

  Outcome run(Chooser chooser) {
    long free = 0;
    int late = 0;
    int refused = 0;
    double accuracy = 0;
    List<Integer> places = new ArrayList<>();
    for (int i = 0; i < frames.size(); i++) {
      Frame frame = frames.get(i);
      long start = Math.max(frame.arrivalNanos(), free);
      RequestQueue<Frame> waiting = new RequestQueue<>(frames.size(), false);
      for (int j = i + 1; j < frames.size() && frames.get(j).arrivalNanos() <= start; j++) {
        waiting.offer(frames.get(j), 0, frames.get(j).arrivalNanos() + deadlineNanos, none -> {});
      }
      long deadline = frame.arrivalNanos() + deadlineNanos;
      long room = waiting.room(start, deadline, steps.get(steps.size() - 1).meanNanos());
      double ratio = frame.slowdown() * noise[i];
      int place = chooser.choose(start, room, frame, ratio);
      places.add(place);
      if (place == BudgetController.NONE) {
        refused++;
        continue;
      }
      long nanos = (long) (steps.get(place).meanNanos() * ratio);
      free = start + nanos;
      chooser.ran(place, free, nanos, frame);
      if (free > deadline) {
        late++;
      } else {
        accuracy += steps.get(place).accuracy();
      }
    }
    return new Outcome(frames.size(), late, refused, accuracy / (frames.size() - late - refused), places);
  }

  Outcome controlled(BudgetController controller) {
    return run(new Chooser() {
      @Override
      public int choose(long nowNanos, long roomNanos, Frame frame, double trueRatio) {
        return controller.choose(nowNanos, roomNanos, frame.clockRatio(), Double.NaN, steps.size() - 1);
      }

      @Override
      public void ran(int place, long nowNanos, long runNanos, Frame frame) {
        controller.ran(place, nowNanos, runNanos, frame.clockRatio());
      }
    });
  }

  /** Knows how long each run will take. */
  Outcome oracle() {
    return run((now, room, frame, ratio) -> {
      for (int place = 0; place < steps.size(); place++) {
        if (steps.get(place).meanNanos() * ratio <= room) {
          return place;
        }
      }
      return BudgetController.NONE;
    });
  }

  Outcome fixed(int place) {
    return run((now, room, frame, ratio) -> place);
  }

  /** The misses of fixed rungs mixed so that their mean accuracy is this one. */
  double fixedMissRate(double accuracy) {
    for (int place = 0; place < steps.size(); place++) {
      double here = steps.get(place).accuracy();
      if (here <= accuracy || place == steps.size() - 1) {
        if (place == 0) {
          return fixed(0).missRate();
        }
        double share = (accuracy - here) / (steps.get(place - 1).accuracy() - here);
        return share * fixed(place - 1).missRate() + (1 - share) * fixed(place).missRate();
      }
    }
    throw new AssertionError("a ladder has rungs");
  }
}
