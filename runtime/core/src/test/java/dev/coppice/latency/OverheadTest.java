package dev.coppice.latency;

import static org.assertj.core.api.Assertions.assertThat;

import dev.coppice.schedule.Allocation;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a sample costs by itself, in real time. */
@Tag("build-machine")
final class OverheadTest {

  private static final int SAMPLES = 200_000;
  private static final int STRETCH = 20_000;
  private static final LatencyPlan PLAN = LatencyPlan.defaults().withCapacity(SAMPLES).withDurations(Duration.ofMillis(300), Duration.ofSeconds(60), Duration.ofSeconds(60));

  @TempDir private Path empty;

  @RepeatedTest(3)
  void shouldTakeAtMostAMicrosecond() throws Exception {
    Outcome found = Measurement.run(PLAN, () -> { }, empty, samples -> { });
    // Nothing is measured, so all of it is overhead: inside a sample by its median, around it by the whole time, which other work may stretch.
    assertThat(found.samples().percentile(50)).isLessThanOrEqualTo(1000);
    assertThat(found.elapsedNanos() / (double) SAMPLES).isLessThanOrEqualTo(10_000);
    assertThat((found.elapsedNanos() - Arrays.stream(found.samples().nanos()).sum()) / (double) SAMPLES).isLessThanOrEqualTo(10_000);
  }

  @RepeatedTest(3)
  void shouldSayWhatASampleCosts() throws Exception {
    OwnCost cost = OwnCost.measure(Host.SYSTEM);
    assertThat(cost.nanos()).isBetween(1.0, 10_000.0); // on a quiet machine below 1,000
    assertThat(cost.bytes()).isLessThan(0.1); // a sample that makes one object would cost 16
  }

  @Test
  void shouldAllocateNothing() throws Exception {
    long[] at = new long[SAMPLES];
    int[] run = {0};
    Measurement.run(PLAN, () -> {
      if (run[0]++ % STRETCH == 0) {
        at[run[0] / STRETCH] = Allocation.bytes();
      }
    }, empty, samples -> { });
    // Warming up and reading sensors allocate; most stretches of the samples have neither. Asking for the bytes takes some itself.
    int stretches = run[0] / STRETCH;
    assertThat(IntStream.range(0, stretches).mapToLong(i -> at[i + 1] - at[i]).min().orElseThrow()).isLessThan(STRETCH / 10);
  }
}
