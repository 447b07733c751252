package dev.coppice.latency;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Plans that cannot be carried out, and durations that are none. */
final class LatencyPlanTest {

  private static final Optional<Duration> LIMIT = Optional.of(Duration.ofMillis(40));
  private static final LatencyPlan PLAN = LatencyPlan.defaults();

  @ParameterizedTest
  @CsvSource({"40 ms, 40000000", "2.5 s, 2500000000", "250us, 250000", "1 min, 60000000000", "' 0.5 us ', 500"})
  void shouldReadADurationWithItsUnit(String text, long nanos) {
    assertThat(Durations.parse("limit", text)).isEqualTo(Duration.ofNanos(nanos));
  }

  @ParameterizedTest
  @ValueSource(strings = {"40", "", "ms", "0 ms", "-1 ms", "40 hours", "40ms ms", "1e3 ms", "0.0001 us"})
  void shouldRefuseWhatIsNoDuration(String text) {
    assertThatThrownBy(() -> Durations.parse("limit", text)).isInstanceOf(IllegalArgumentException.class)
        .hasMessage("limit must be a duration above 0 with its unit (us, ms, s or min), such as 40 ms: " + text);
  }

  @ParameterizedTest
  @CsvSource({"900, 0.900 us", "12345678, 12.35 ms", "412345678, 412.3 ms", "1010000000, 1.010 s"})
  void shouldWriteADurationForPeople(double nanos, String text) {
    assertThat(Durations.text(nanos)).isEqualTo(text);
  }

  @Test
  void shouldRefuseFewerSamplesThanThePercentileNeeds() {
    assertThatThrownBy(() -> PLAN.withCapacity(458).withLimit(99, LIMIT, 0.99)).hasMessage(
        "percentile 99.0 needs at least 459 samples for a verdict, and there will be about 458: choose a lower percentile, or more time");
    assertThat(PLAN.withCapacity(459).withLimit(99, LIMIT, 0.99).capacity()).isEqualTo(459);
  }

  @Test
  void shouldRefuseARateAtWhichTooFewRequestsCome() {
    assertThatThrownBy(() -> PLAN.withScenario(Scenario.SERVER, 2).withLimit(99, LIMIT, 0.99)).hasMessageContaining("needs at least 459 samples").hasMessageContaining("about 120");
  }

  @Test
  void shouldShareTheRiskBetweenLooks() {
    LatencyPlan longer = PLAN.withLimit(99, LIMIT, 0.99).withDurations(Duration.ofSeconds(1), Duration.ofSeconds(60), Duration.ofSeconds(120));
    assertThat(longer.bound().confidence()).isEqualTo(0.995);
  }

  @Test
  void shouldRefuseWhatDoesNotFitTogether() {
    assertThatThrownBy(() -> PLAN.withScenario(Scenario.SERVER, 0)).hasMessageStartingWith("rate must be above 0");
    assertThatThrownBy(() -> PLAN.withScenario(Scenario.SERVER, Double.NaN)).hasMessageStartingWith("rate must be above 0");
    assertThatThrownBy(() -> PLAN.withScenario(Scenario.SINGLE_STREAM, 5)).hasMessageStartingWith("rate must be above 0");
    assertThatThrownBy(() -> PLAN.withScenario(Scenario.OFFLINE, 0).withLimit(99, LIMIT, 0.99)).hasMessageStartingWith("limit must not be given for OFFLINE");
    assertThatThrownBy(() -> PLAN.withDurations(Duration.ofSeconds(1), Duration.ofSeconds(2), Duration.ofSeconds(1))).hasMessage("minDuration must be at most maxDuration: 2.000 s above 1.000 s");
    assertThatThrownBy(() -> PLAN.withDurations(Duration.ZERO, Duration.ofSeconds(2), Duration.ofSeconds(2))).hasMessageStartingWith("warmUp must be above 0");
    assertThatThrownBy(() -> PLAN.withCapacity(0)).hasMessage("capacity must be 1..10000000: 0");
    assertThatThrownBy(() -> PLAN.withLimit(101, LIMIT, 0.99)).hasMessageStartingWith("percentile must be");
    assertThatThrownBy(() -> PLAN.withLimit(99, LIMIT, 1)).hasMessageStartingWith("confidence must be");
  }
}
