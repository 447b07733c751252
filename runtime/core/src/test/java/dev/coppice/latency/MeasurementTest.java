package dev.coppice.latency;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Whole measurements in simulated time. Nothing in it depends on the processor. */
@Tag("build-machine")
final class MeasurementTest {

  private static final long MILLI = 1_000_000;

  @TempDir private Path root;
  private final SimulatedHost host = new SimulatedHost();
  private final LatencyPlan plan = LatencyPlan.defaults().withCapacity(100_000).withLimit(99, Optional.of(Duration.ofMillis(40)), 0.99);

  @BeforeEach
  void boardIsCool() {
    FakeBoard.cool(root);
  }

  private Outcome measure(LatencyPlan with, Measurement.Task task) throws Exception {
    return Measurement.run(with, task, root, host, samples -> { });
  }

  @Test
  void shouldTimeEveryRun() throws Exception {
    Outcome found = measure(plan, () -> host.work(10 * MILLI));
    assertThat(found.samples().count()).isEqualTo(6000);
    assertThat(found.samples().nanos()).containsOnly(10 * MILLI);
    assertThat(found.throughput()).isCloseTo(100, within(0.1));
    assertThat(found.verdict()).contains(Verdict.PASS);
    assertThat(found.sentence()).isEqualTo("PASS: within 40.00 ms: SINGLE_STREAM p99 10.00 ms, with 99 % confidence from 10.00 ms to 10.00 ms"
        + " (6000 samples, worth 6000 independent ones, 0 above 40.00 ms).");
  }

  @Test
  void shouldFailASlowModel() throws Exception {
    assertThat(measure(plan, () -> host.work(41 * MILLI)).sentence()).startsWith("FAIL: beyond 40.00 ms: ");
  }

  /** A stall of one second every ten, in a model that needs 10 ms. */
  private Measurement.Task stalling() {
    long[] next = {host.now + 10_000 * MILLI};
    return () -> {
      host.work(10 * MILLI);
      if (host.now >= next[0]) {
        host.work(1000 * MILLI);
        next[0] += 10_000 * MILLI;
      }
    };
  }

  @Test
  void shouldSeeStallsInThePercentileOfAServer() throws Exception {
    // Of 20 requests a second, those of each stall and of the quarter second after it wait: about 12 %.
    Outcome found = measure(plan.withScenario(Scenario.SERVER, 20), stalling());
    assertThat(found.samples().percentile(99)).isGreaterThan(800 * MILLI);
    assertThat(found.verdict()).contains(Verdict.FAIL);
  }

  @Test
  void shouldLabelAClosedLoopInWhichStallsAreOneSlowSample() throws Exception {
    Outcome found = measure(plan, stalling());
    assertThat(found.samples().percentile(99)).isEqualTo(10 * MILLI);
    assertThat(found.samples().max()).isEqualTo(1010 * MILLI);
    assertThat(found.verdict()).contains(Verdict.PASS);
    assertThat(found.plan().scenario().meaning()).startsWith("service time, closed loop");
    assertThat(found.stalls()).contains("6 of 5450 samples took more than 10 times the median, the longest 1.010 s; in a closed loop nobody waits for them: measure SERVER to see what they cost.");
  }

  @Test
  void shouldOutliveAStallWhileItMeasuresItself() throws Exception {
    SimulatedHost stalling = new SimulatedHost() {
      private int looks;

      @Override
      public long nanos() {
        now += ++looks == 10_000 ? 1000 * MILLI : 10;
        return super.nanos();
      }
    };
    assertThat(OwnCost.measure(stalling).nanos()).isCloseTo(20, within(1.0)); // the first series, which stalled, only warms up
  }

  @Test
  void shouldSendAtRandomAtTheGivenRate() throws Exception {
    Outcome found = measure(plan.withScenario(Scenario.SERVER, 50), () -> host.work(MILLI));
    assertThat((double) found.samples().count()).isCloseTo(3000, within(4 * Math.sqrt(3000))); // Poisson: the variance is the mean
    // An M/D/1 queue at 5 % load: the mean wait is load / (2 (1 - load)) services.
    assertThat(found.samples().mean() / MILLI).isCloseTo(1 + 0.05 / 1.9, within(0.02));
  }

  @Test
  void shouldSendTheSameArrivalsForTheSameSeed() throws Exception {
    LatencyPlan server = plan.withScenario(Scenario.SERVER, 50);
    Outcome first = measure(server, () -> host.work(10 * MILLI));
    assertThat(measure(server, () -> host.work(10 * MILLI)).samples().nanos()).isEqualTo(first.samples().nanos());
    assertThat(measure(server.withSeed(2), () -> host.work(10 * MILLI)).samples().nanos()).isNotEqualTo(first.samples().nanos());
  }

  @Test
  void shouldFailAnOverloadedServer() throws Exception {
    Outcome found = measure(plan.withScenario(Scenario.SERVER, 120), () -> host.work(10 * MILLI));
    assertThat(found.verdict()).contains(Verdict.FAIL);
  }

  @Test
  void shouldGoOnWhileTheLimitLiesBetweenTheBounds() throws Exception {
    // Every 98th run takes 45 ms: 1.02 % are above 40 ms, which an hour could not tell from 1 %.
    int[] run = {0};
    LatencyPlan longer = plan.withDurations(Duration.ofSeconds(60), Duration.ofSeconds(60), Duration.ofSeconds(600));
    Outcome found = measure(longer, () -> host.work(++run[0] % 98 == 0 ? 45 * MILLI : 10 * MILLI));
    assertThat(found.verdict()).contains(Verdict.INCONCLUSIVE);
    assertThat(found.elapsedNanos()).isGreaterThanOrEqualTo(600_000 * MILLI);
    assertThat(found.plan().looks()).containsExactly(60_000 * MILLI, 120_000 * MILLI, 240_000 * MILLI, 480_000 * MILLI, 600_000 * MILLI);
  }

  @Test
  void shouldStopAtTheFirstLookThatDecides() throws Exception {
    LatencyPlan longer = plan.withDurations(Duration.ofSeconds(60), Duration.ofSeconds(60), Duration.ofSeconds(600));
    assertThat(measure(longer, () -> host.work(10 * MILLI)).samples().count()).isEqualTo(6000);
  }

  @Test
  void shouldGiveNoVerdictWithoutALimit() throws Exception {
    LatencyPlan offline = LatencyPlan.defaults().withCapacity(10_000).withScenario(Scenario.OFFLINE, 0);
    Outcome found = measure(offline, () -> host.work(20 * MILLI));
    assertThat(found.verdict()).isEmpty();
    assertThat(found.throughput()).isCloseTo(50, within(0.1));
  }

  @Test
  void shouldWarmUpUntilTheMedianStays() throws Exception {
    int[] run = {0};
    Outcome found = measure(plan, () -> host.work(Math.max(10, 40 - run[0]++ / 10) * MILLI));
    assertThat(found.warmUpRuns()).isBetween(325, 400); // constant from run 300 on, in windows of 25
    assertThat(found.samples().max()).isEqualTo(10 * MILLI);
  }

  @Test
  void shouldSayThatARunNeverBecameSteady() throws Exception {
    int[] run = {0};
    Outcome found = measure(plan, () -> host.work((run[0]++ / 25 % 2 == 0 ? 10 : 11) * MILLI));
    assertThat(found.findings()).extracting(Finding::doubt).contains(Doubt.UNSTEADY);
    assertThat(found.verdict()).contains(Verdict.INVALID);
  }

  @Test
  void shouldWaitForTheCompiler() throws Exception {
    Outcome found = measure(plan, () -> {
      host.work(10 * MILLI);
      host.compilationMillis += host.compilationMillis < 1000 ? 1 : 0;
    });
    assertThat(found.warmUpRuns()).isBetween(1000, 1100);
  }

  @Test
  void shouldNotCountItsOwnPausesAgainstAServer() throws Exception {
    // Reading the sensors takes a second each time; the arrivals stand still meanwhile.
    SimulatedHost slowReader = new SimulatedHost();
    Outcome found = Measurement.run(plan.withScenario(Scenario.SERVER, 10), () -> slowReader.work(MILLI), root, slowReader, samples -> slowReader.work(1000 * MILLI));
    assertThat(found.samples().max()).isLessThan(20 * MILLI);
    assertThat(found.samples().count()).isBetween(500, 700);
  }
}
