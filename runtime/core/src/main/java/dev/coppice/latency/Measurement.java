package dev.coppice.latency;

import dev.coppice.api.DeviceState;
import dev.coppice.device.DeviceReader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.SplittableRandom;
import java.util.function.LongConsumer;
import java.util.function.Supplier;

/**
 * Runs a task by a plan and keeps every time.
 *
 * <p>A sample costs two readings of the clock and a store. Sensors are read twice a second between two samples, never inside
 * one, and the arrivals of {@link Scenario#SERVER} stand still meanwhile. Not safe for use by two threads.
 */
public final class Measurement {

  private static final long BETWEEN_READINGS = 500_000_000;
  private static final int WINDOW_RUNS = 25;
  private static final long WINDOW_NANOS = 100_000_000;
  private static final double STEADY = 0.02;
  private static final double COMPILING = 0.05;

  /** What is measured. */
  @FunctionalInterface
  public interface Task {
    /** One run. */
    void run() throws Exception;
  }

  private final LatencyPlan plan;
  private final Host host;
  private final Path root;
  private final LongConsumer progress;
  private final long[] nanos;
  private final List<DeviceState> readings = new ArrayList<>();
  private final List<Finding> findings = new ArrayList<>();
  private int count;
  private int warmUpRuns;
  private long nextReading;
  private long paused; // nanoseconds that the measurement itself took
  private long busy;
  private long end; // of the last sample

  Measurement(LatencyPlan plan, Path root, Host host, LongConsumer progress) {
    this.plan = plan;
    this.root = root;
    this.host = host;
    this.progress = progress;
    this.nanos = new long[Math.max(plan.capacity(), 2 * WINDOW_RUNS)];
  }

  /** Measures with the kernel's files below {@code root}, which is {@code /} on a real board; {@code progress} hears the samples so far about twice a second. */
  public static Outcome run(LatencyPlan plan, Task task, Path root, LongConsumer progress) throws Exception {
    return run(plan, task, root, Host.SYSTEM, progress);
  }

  /** Measures by the same plan as a first time, once the processor has come down to 3 K above the temperature at which that began. */
  public static Outcome again(Outcome first, Task task, Path root, LongConsumer progress) throws Exception {
    Objects.requireNonNull(first, "first");
    return run(first.plan(), task, root, Host.SYSTEM, progress, first.startCelsius());
  }

  static Outcome run(LatencyPlan plan, Task task, Path root, Host host, LongConsumer progress) throws Exception {
    return run(plan, task, root, host, progress, OptionalDouble.empty());
  }

  static Outcome run(LatencyPlan plan, Task task, Path root, Host host, LongConsumer progress, OptionalDouble firstCelsius) throws Exception {
    Objects.requireNonNull(task, "task");
    return new Measurement(Objects.requireNonNull(plan, "plan"), Objects.requireNonNull(root, "root"), host, Objects.requireNonNull(progress, "progress")).measure(task, firstCelsius);
  }

  private Outcome measure(Task task, OptionalDouble firstCelsius) throws Exception {
    CoolDown coolDown = new CoolDown(host, root);
    coolDown.await(plan.coolDown(), firstCelsius).ifPresent(findings::add);
    OwnCost ownCost = OwnCost.measure(host);
    boolean steady = warmUp(task);
    if (!steady) {
      findings.add(new Finding(Doubt.UNSTEADY, "the first " + Durations.text(plan.warmUp().toNanos()) + " (" + warmUpRuns
          + " runs) never became steady: expected two successive medians within 2 % and a JVM that no longer compiles; stop other work, or allow a longer warm-up."));
    }
    try (DeviceReader reader = new DeviceReader(root)) {
      readings.add(reader.read());
      long collections = host.collections();
      long start = host.nanos();
      Optional<Verdict> verdict = sample(task, reader::read, start);
      long elapsed = end - start - paused;
      readings.add(reader.read());
      findings.addAll(Validity.findings(readings, host.collections() - collections, count));
      boolean invalid = findings.stream().anyMatch(finding -> !plan.allowed().contains(finding.doubt()));
      return new Outcome(plan, new Samples(nanos, count), elapsed, busy, coolDown.waited(), coolDown.celsius(), warmUpRuns, invalid ? Optional.of(Verdict.INVALID) : verdict, findings, readings, ownCost,
          reader.unknown());
    }
  }

  /** Fills the samples from this moment on. */
  Optional<Verdict> sample(Task task, Supplier<DeviceState> sensors, long start) throws Exception {
    nextReading = start + BETWEEN_READINGS;
    List<Long> looks = plan.looks();
    SplittableRandom random = new SplittableRandom(plan.seed());
    boolean server = plan.scenario() == Scenario.SERVER;
    double arrival = 0; // nanoseconds after the start
    int look = 0;
    while (true) {
      long begin;
      if (server) {
        arrival -= Math.log1p(-random.nextDouble()) * 1e9 / plan.rate(); // exponential gaps: a Poisson process
        begin = start + paused + (long) arrival;
        host.waitUntil(begin);
        long late = host.nanos();
        task.run();
        busy -= late;
      } else {
        begin = host.nanos();
        task.run();
        busy -= begin;
      }
      end = host.nanos();
      busy += end;
      nanos[count++] = end - begin;
      if (end >= nextReading) {
        readings.add(sensors.get());
        progress.accept(count);
        nextReading = end + BETWEEN_READINGS;
        paused += host.nanos() - end;
      }
      boolean full = count == plan.capacity();
      if (full || end - start - paused >= looks.get(look)) {
        look = full ? looks.size() : look + 1;
        Optional<Verdict> verdict = verdict();
        if (look == looks.size() || verdict.orElseThrow() != Verdict.INCONCLUSIVE) {
          return verdict;
        }
        paused += host.nanos() - end;
      }
    }
  }

  private Optional<Verdict> verdict() {
    if (plan.limit().isEmpty()) {
      return Optional.empty();
    }
    long limit = plan.limit().get().toNanos();
    Samples samples = new Samples(nanos, count);
    boolean overloaded = plan.scenario() == Scenario.SERVER && busy / 1e9 * plan.rate() > count; // the queue grows without end
    return Optional.of(overloaded && samples.percentile(plan.percentile()) > limit ? Verdict.FAIL : samples.verdict(plan.bound(), limit));
  }

  /** Runs until two successive windows have the same median and the JVM hardly compiles; false if that never came. */
  private boolean warmUp(Task task) throws Exception {
    long end = host.nanos() + plan.warmUp().toNanos();
    double before = Double.NaN;
    while (true) {
      long compiling = host.compilationMillis();
      long start = host.nanos();
      long now = start;
      int runs = 0;
      while (runs < nanos.length && (runs < WINDOW_RUNS || now - start < WINDOW_NANOS)) {
        long begin = host.nanos();
        task.run();
        now = host.nanos();
        nanos[runs++] = now - begin;
      }
      warmUpRuns += runs;
      double median = new Samples(nanos, runs).percentile(50);
      boolean compiled = (host.compilationMillis() - compiling) * 1e6 > COMPILING * (now - start);
      if (!compiled && Math.abs(median - before) <= STEADY * before) {
        return true;
      }
      if (now >= end && warmUpRuns >= 2 * WINDOW_RUNS) {
        return false;
      }
      before = median;
    }
  }
}
