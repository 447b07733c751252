package dev.coppice.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import dev.coppice.Coppice;
import dev.coppice.api.Classifier;
import dev.coppice.api.Image;
import dev.coppice.api.MetricsListener;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.Result;
import dev.coppice.api.Trust;
import dev.coppice.bundle.Bundle;
import dev.coppice.bundle.ShippedBundle;
import dev.coppice.schedule.Allocation;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

/** Telling costs nothing to speak of. */
final class TelemetryTest {

  private long told;

  @Test
  void shouldAllocateNothingWhereNobodyRecords() throws ReflectiveOperationException {
    MetricsListener counter = new MetricsListener() {
      @Override
      public void ran(Result result, long queueNanos, long spareNanos, double keepRatio, double celsius) {
        told += queueNanos + (long) keepRatio;
      }
    };
    Result result;
    Telemetry telemetry;
    try (Classifier classifier = Coppice.open(ShippedBundle.FOLDER, OpenOptions.defaults().withThreads(1))) {
      result = classifier.classify(new Image(1, 1, new byte[3], 0));
      telemetry = new Telemetry(classifier.bundle(), counter);
    }
    tell(telemetry, result, 200_000);
    long before = Allocation.bytes();
    tell(telemetry, result, 100_000);
    assertThat(Allocation.bytes() - before).isLessThan(10_000); // one event each would be five million
    assertThat(told).isPositive();
  }

  @Test
  void shouldWarnOnceOfAProcessorThatHasBecomeHot() {
    ByteArrayOutputStream log = new ByteArrayOutputStream();
    PrintStream err = System.err;
    System.setErr(new PrintStream(log, true, StandardCharsets.UTF_8));
    try {
      Telemetry telemetry = new Telemetry(Bundle.read(ShippedBundle.FOLDER, Trust.off()).info(), MetricsListener.NONE);
      for (boolean hot : new boolean[] {false, true, true, false, true}) {
        telemetry.heat(hot, 78);
      }
    } finally {
      System.setErr(err);
    }
    String warning = "[main] WARN dev.coppice.pipeline.Telemetry - bundle imagenette-mini: 78.0 degrees Celsius, close to the throttle point; dear rungs are closed";
    assertThat(log.toString(StandardCharsets.UTF_8).lines()).containsExactly(warning, warning);
  }

  private static void tell(Telemetry telemetry, Result result, int times) {
    for (int i = 0; i < times; i++) {
      telemetry.queued(i & 15);
      telemetry.ran(telemetry.begin(), result, i, i, Double.NaN);
    }
  }
}
