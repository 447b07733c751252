package dev.coppice.pipeline;

import dev.coppice.api.Keep;
import dev.coppice.api.Rung;
import dev.coppice.api.SchedulerOptions;
import dev.coppice.follow.Current;
import dev.coppice.schedule.BudgetController;
import dev.coppice.schedule.Calibration;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/** A pipeline, and the controller of its rungs. By itself it is what serves for ever. */
public final class MeasuredPipeline implements Current<MeasuredPipeline> {

  private final Pipeline pipeline;
  private final BudgetController controller;
  private final List<Rung> rungs;
  private final List<Optional<Keep>> keeps;

  /**
   * Measures the rungs. Takes over the pipeline, and closes it in {@link #close()} or if a run fails.
   *
   * @param throttleCelsius NaN if unknown
   */
  public MeasuredPipeline(Pipeline pipeline, SchedulerOptions options, double throttleCelsius) {
    this.pipeline = pipeline;
    this.rungs = pipeline.rungs();
    boolean named = !pipeline.bundle().ladder().isEmpty();
    this.keeps = rungs.stream().map(rung -> named ? Optional.of(Keep.rung(rung.name())) : Optional.<Keep>empty()).toList();
    try {
      this.controller = Calibration.measure(pipeline.engine(), rungs, options.calibrationRuns(), options.missShare(), throttleCelsius);
    } catch (RuntimeException e) {
      pipeline.close();
      throw e;
    }
  }

  Pipeline pipeline() {
    return pipeline;
  }

  BudgetController controller() {
    return controller;
  }

  /** The rung at one of the controller's places. */
  Rung rung(int place) {
    return rungs.get(controller.rung(place));
  }

  /** How to ask the pipeline for it. */
  Optional<Keep> keep(int place) {
    return keeps.get(controller.rung(place));
  }

  @Override
  public <R> R run(Function<MeasuredPipeline, R> run) {
    return run.apply(this);
  }

  @Override
  public MeasuredPipeline last() {
    return this;
  }

  @Override
  public void close() {
    pipeline.close();
  }
}
