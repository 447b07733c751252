package dev.coppice.pipeline;

import dev.coppice.api.BundleInfo;
import dev.coppice.api.CoppiceException;
import dev.coppice.api.DeadlineException;
import dev.coppice.api.Image;
import dev.coppice.api.NativeException;
import dev.coppice.api.OverloadException;
import dev.coppice.api.Request;
import dev.coppice.api.Result;
import dev.coppice.api.RunOptions;
import dev.coppice.api.Scheduler;
import dev.coppice.api.SchedulerOptions;
import dev.coppice.device.Sensors;
import dev.coppice.follow.Current;
import dev.coppice.schedule.Backlog;
import dev.coppice.schedule.BudgetController;
import dev.coppice.schedule.RequestQueue;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;

/** One thread that takes the most urgent request, asks the controller of what serves for a rung, and runs it. Queue and thread outlive what serves. */
public final class Dispatcher implements Scheduler {

  /** Share of a new observation in the mean of what goes on beside the run. */
  private static final double LEARNING = 0.1;

  private record Work(Image image, Request request, long submittedNanos, long deadlineNanos, CompletableFuture<Result> future) {}

  private final Current<MeasuredPipeline> current;
  private final Sensors sensors;
  private final RequestQueue<Work> queue;
  private final Thread worker;

  private final Object turn = new Object();
  private Work running; // guarded by turn
  private Pipeline runningOn; // guarded by turn

  private final Backlog backlog;

  // Used by the worker alone.
  private double clockRatio = 1;
  private double besideNanos;
  private String lastRung;

  /** Takes over what serves, and the sensors, and closes them. */
  public Dispatcher(Current<MeasuredPipeline> current, Sensors sensors, SchedulerOptions options) {
    this.current = current;
    this.sensors = sensors;
    this.queue = new RequestQueue<>(options.capacity(), options.overflow() == SchedulerOptions.Overflow.NEWEST_WINS);
    this.lastRung = current.last().rung(0).name();
    this.backlog = new Backlog(current.last().controller().leastNanos(1), System.nanoTime());
    this.worker = new Thread(this::work, "coppice-" + bundle().name());
    worker.setDaemon(true); // a service that forgets to close still ends
    worker.start();
  }

  @Override
  public BundleInfo bundle() {
    return current.last().pipeline().bundle();
  }

  private Telemetry telemetry() {
    return current.last().pipeline().telemetry();
  }

  @Override
  public CompletableFuture<Result> submit(Image image, Request request) {
    Objects.requireNonNull(image, "image");
    fastest(current.last(), request);
    long now = System.nanoTime();
    long deadline = now + request.deadline().toNanos();
    int lane = request.lane().ordinal();
    double ready = backlog.readyNanos(now, queue.ahead(lane, deadline));
    if (ready > deadline - now) {
      throw telemetry().refused(new DeadlineException("backlog", String.format("Bundle \"%s\": what waits already leaves no time for a request within %.1f ms: expected at the earliest in %.1f ms; "
          + "ask for less at once or allow more time.", bundle().name(), request.deadline().toNanos() / 1e6, ready / 1e6)));
    }
    Work work = new Work(image, request, now, deadline, new CompletableFuture<>());
    switch (queue.offer(work, lane, deadline, this::supersede)) {
      case CLOSED -> throw closed();
      case FULL -> throw telemetry().refused(new OverloadException("full", "Bundle \"" + bundle().name() + "\": expected room in the queue, found " + queue.size()
          + " requests waiting; ask later, or open the scheduler with a larger capacity."));
      case TAKEN -> work.future.whenComplete((result, failure) -> forget(work));
      default -> throw new AssertionError("an offer has three ends");
    }
    telemetry().queued(queue.size());
    return work.future;
  }

  @Override
  public Flow.Processor<Image, Result> stream(Request request, int atOnce) {
    fastest(current.last(), request);
    if (atOnce < 1) {
      throw new IllegalArgumentException("atOnce must be at least 1: " + atOnce);
    }
    return new FrameStream(this, telemetry(), request, atOnce, false);
  }

  @Override
  public Flow.Processor<Image, Result> newestFrames(Request request) {
    fastest(current.last(), request);
    return new FrameStream(this, telemetry(), request, 1, true);
  }

  private static int fastest(MeasuredPipeline model, Request request) {
    int fastest = model.controller().fastest(Objects.requireNonNull(request, "request").minAccuracy());
    if (fastest == BudgetController.NONE) {
      throw new IllegalArgumentException("minAccuracy must be at most that of the best rung of bundle \"" + model.pipeline().bundle().name() + "\": " + request.minAccuracy());
    }
    return fastest;
  }

  /** Takes work that nobody waits for any more out of the queue, or ends its run. */
  private void forget(Work work) {
    if (queue.remove(work)) {
      telemetry().queued(queue.size());
    }
    synchronized (turn) {
      if (running == work) {
        runningOn.telemetry().cancelled();
        runningOn.terminate();
      }
    }
  }

  private void setRunning(Work work, Pipeline pipeline) {
    synchronized (turn) {
      running = work;
      runningOn = pipeline;
    }
  }

  private void supersede(Work old) {
    old.future.completeExceptionally(telemetry().refused(
        new OverloadException("superseded", "Bundle \"" + bundle().name() + "\": a newer request took the place of this one.")));
  }

  private IllegalStateException closed() {
    return new IllegalStateException("The scheduler of bundle \"" + bundle().name() + "\" is closed.");
  }

  private void work() {
    try {
      for (Optional<Work> next = queue.take(); next.isPresent(); next = queue.take()) {
        telemetry().queued(queue.size());
        if (!next.get().future.isDone()) {
          serve(next.get());
        }
      }
    } catch (InterruptedException nobodyInterruptsThisThread) {
      Thread.currentThread().interrupt();
    }
  }

  private void serve(Work work) {
    try {
      work.future.complete(current.run(model -> run(model, work)));
    } catch (RuntimeException | Error failure) {
      if (work.future.completeExceptionally(failure) && failure instanceof CoppiceException told) {
        telemetry().refused(told);
      }
    }
  }

  private Result run(MeasuredPipeline model, Work work) {
    BudgetController controller = model.controller();
    Telemetry telemetry = model.pipeline().telemetry();
    int fastest = fastest(model, work.request);
    long now = System.nanoTime();
    double room = queue.room(now, work.deadlineNanos, backlog.leastNanos()) - besideNanos;
    double celsius = controller.mindsHeat() || telemetry.mindsHeat() ? sensors.celsius() : Double.NaN;
    int place = controller.choose(now, (long) room, clockRatio, celsius, fastest);
    telemetry.heat(controller.closesRungs(celsius), celsius);
    backlog.expect(controller.leastNanos(clockRatio) + besideNanos);
    if (place == BudgetController.NONE) {
      throw new DeadlineException(room > 0 ? "late" : "passed", String.format("Bundle \"%s\": a run was expected to take %.1f ms, found %.1f ms left of %.1f; nothing was run.",
          bundle().name(), controller.predictedNanos() / 1e6, Math.max(0, room) / 1e6, work.request.deadline().toNanos() / 1e6));
    }
    String rung = model.rung(place).name();
    if (!rung.equals(lastRung)) {
      telemetry.rung(rung, controller.slowdown(), clockRatio);
      lastRung = rung;
    }
    backlog.busyUntil(now + (long) (controller.predictedNanos() + besideNanos));
    InferenceEvent event = telemetry.begin();
    Result result;
    setRunning(work, model.pipeline());
    try {
      result = model.pipeline().run(work.image, new RunOptions(model.keep(place), work.request.top()));
    } catch (NativeException failure) {
      if (work.future.isDone()) { // ended because nobody waits for it, which says nothing of the model
        throw new CancellationException();
      }
      throw failure;
    } finally {
      setRunning(null, null);
      backlog.busyUntil(System.nanoTime());
    }
    // At the end of a run, when the governor has raised the clock as far as heat allows; before it the clock idles.
    clockRatio = sensors.clockRatio();
    controller.ran(place, System.nanoTime(), result.timings().run(), clockRatio);
    besideNanos += LEARNING * (result.timings().preprocess() + result.timings().rank() - besideNanos);
    telemetry.ran(event, result, now - work.submittedNanos, work.deadlineNanos - System.nanoTime(), celsius);
    return result;
  }

  @Override
  public void close() {
    queue.close(work -> work.future.completeExceptionally(closed()));
    current.close();
    boolean interrupted = false;
    while (worker.isAlive() && Thread.currentThread() != worker) { // a caller's callback runs on the worker
      try {
        worker.join();
      } catch (InterruptedException later) {
        interrupted = true;
      }
    }
    sensors.close();
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
