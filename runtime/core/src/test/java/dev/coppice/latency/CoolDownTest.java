package dev.coppice.latency;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A Raspberry Pi 5, which lowers its clock from 80 degrees on, in simulated time. Nothing in it depends on the processor. */
@Tag("build-machine")
final class CoolDownTest {

  @TempDir private Path root;
  private FakeBoard board;

  /** Loses a tenth of a kelvin in every second in which nothing runs. */
  private final SimulatedHost host = new SimulatedHost() {
    @Override
    public void waitUntil(long nanos) {
      super.waitUntil(nanos);
      thousandths -= 100;
      board.temperature(thousandths);
    }
  };
  private int thousandths;

  @BeforeEach
  void boardIsCool() {
    board = FakeBoard.cool(root);
  }

  private Outcome measure(int from, Duration longest) throws Exception {
    thousandths = from;
    board.temperature(from);
    LatencyPlan plan = LatencyPlan.defaults().withCapacity(10_000).withCoolDown(longest);
    return Measurement.run(plan, () -> host.work(10_000_000), root, host, samples -> { });
  }

  @Test
  void shouldNotWaitOnACoolBoard() throws Exception {
    assertThat(measure(69_900, Duration.ofMinutes(5)).coolDownNanos()).isZero();
  }

  @Test
  void shouldWaitUntilTenKelvinBelowTheThrottlePoint() throws Exception {
    Outcome found = measure(78_000, Duration.ofMinutes(5));
    assertThat(found.coolDownNanos()).isEqualTo(80_000_000_000L); // 8 K at a tenth a second
    assertThat(found.findings()).isEmpty();
  }

  /** What a measurement at 40 degrees left, and one more after it. */
  private Outcome measureAgainFrom(int heated) throws Exception {
    Outcome first = measure(40_000, Duration.ofMinutes(5));
    thousandths = heated;
    board.temperature(heated);
    return Measurement.run(first.plan(), () -> host.work(10_000_000), root, host, samples -> { }, first.startCelsius());
  }

  @Test
  void shouldWaitUntilThreeKelvinAboveTheBeginOfTheFirst() throws Exception {
    Outcome again = measureAgainFrom(60_000);
    assertThat(again.coolDownNanos()).isEqualTo(170_000_000_000L); // 17 K at a tenth a second
    assertThat(again.startCelsius()).hasValue(43);
    assertThat(measureAgainFrom(42_900).coolDownNanos()).isZero();
  }

  @Test
  void shouldWaitForTheFirstTemperatureWhereTheThrottlePointIsNotKnown() throws Exception {
    board.write("proc/device-tree/compatible", "acme,board\0");
    assertThat(measureAgainFrom(44_000).coolDownNanos()).isEqualTo(10_000_000_000L);
  }

  @Test
  void shouldNotTrustABoardThatStaysHot() throws Exception {
    Outcome found = measure(79_000, Duration.ofSeconds(20));
    assertThat(found.sentence()).startsWith("INVALID: the processor had 77.0 degrees Celsius after 20.00 s of cooling down, expected at most 70.0: ");
    assertThat(found.verdict()).contains(Verdict.INVALID);
  }

  @Test
  void shouldNotWaitWhereTheThrottlePointIsNotKnown() throws Exception {
    board.write("proc/device-tree/compatible", "acme,board\0");
    assertThat(measure(99_000, Duration.ofMinutes(5)).coolDownNanos()).isZero();
  }
}
