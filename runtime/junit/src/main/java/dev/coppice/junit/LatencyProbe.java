package dev.coppice.junit;

import dev.coppice.Coppice;
import dev.coppice.api.Classifier;
import dev.coppice.api.OpenOptions;
import dev.coppice.latency.LatencyPlan;
import dev.coppice.latency.Measurement;
import dev.coppice.latency.Outcome;
import java.nio.file.Path;
import java.util.Optional;
import jdk.jfr.Recording;

/** What a {@link LatencyTest} times with. For the thread of the test alone. */
public final class LatencyProbe implements AutoCloseable {

  /** Hears what was found, and throws if that is no pass. */
  interface Judge {
    void judge(LatencyProbe probe, Outcome outcome) throws Exception;
  }

  private final LatencyPlan plan;
  private final Optional<Outcome> first;
  private final Optional<Path> bundle;
  private final OpenOptions options;
  private final Path root;
  private final Optional<Recording> recording;
  private final Judge judge;
  private Classifier classifier;
  private boolean measured;

  /** first: what an earlier fork of the same test found. recording: of the measurement; closed with the probe. */
  LatencyProbe(LatencyPlan plan, Optional<Outcome> first, Optional<Path> bundle, OpenOptions options, Path root, Optional<Recording> recording, Judge judge) {
    this.plan = plan;
    this.first = first;
    this.bundle = bundle;
    this.options = options;
    this.root = root;
    this.recording = recording;
    this.judge = judge;
  }

  /**
   * The test's bundle, opened at the first call and closed after the test.
   *
   * @throws IllegalStateException if the test names none
   */
  public Classifier classifier() {
    if (classifier == null) {
      classifier = Coppice.open(bundle.orElseThrow(() -> new IllegalStateException("This latency test has no bundle: give @LatencyTest(bundle = ...) a folder.")), options);
    }
    return classifier;
  }

  /**
   * Warms up, measures by the plan of the annotation, reports and judges.
   *
   * @return what was found, if that is a pass
   * @throws AssertionError if it is a failure
   * @throws org.opentest4j.TestAbortedException if the samples cannot tell
   * @throws IllegalStateException if this test has measured before
   */
  public Outcome measure(Measurement.Task task) throws Exception {
    if (measured) {
      throw new IllegalStateException("A latency test measures once: make a second @LatencyTest for what else is to be timed.");
    }
    measured = true;
    recording.ifPresent(Recording::start);
    Outcome outcome = first.isPresent() ? Measurement.again(first.get(), task, root, samples -> { }) : Measurement.run(plan, task, root, samples -> { });
    recording.ifPresent(Recording::stop);
    judge.judge(this, outcome);
    return outcome;
  }

  Optional<Classifier> opened() {
    return Optional.ofNullable(classifier);
  }

  OpenOptions options() {
    return options;
  }

  Optional<Recording> recording() {
    return recording;
  }

  boolean measured() {
    return measured;
  }

  @Override
  public void close() {
    recording.ifPresent(Recording::close);
    if (classifier != null) {
      classifier.close();
    }
  }
}
