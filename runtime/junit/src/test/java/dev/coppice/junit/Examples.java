package dev.coppice.junit;

import dev.coppice.Coppice;
import dev.coppice.api.Image;
import dev.coppice.latency.Doubt;
import dev.coppice.latency.Scenario;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.locks.LockSupport;
import org.opentest4j.TestAbortedException;

/**
 * Latency tests that {@link LatencyTestTest} runs, as a stranger would write them. The build machine is busy with other
 * things, so what its load may cause is allowed, and limits are far off.
 */
final class Examples {

  private static final String BUNDLE = System.getProperty("coppice.bundle");

  private Examples() {}

  private static void milliseconds(double millis) {
    LockSupport.parkNanos((long) (millis * 1e6));
  }

  static final class Fast {
    @LatencyTest(percentile = 50, limit = "10 s", minDuration = "300 ms", maxDuration = "300 ms", warmUp = "100 ms", allow = {Doubt.LOAD, Doubt.UNSTEADY, Doubt.CLOCK, Doubt.GARBAGE})
    void passes(LatencyProbe probe) throws Exception {
      probe.measure(() -> milliseconds(1));
    }
  }

  static final class Slow {
    @LatencyTest(percentile = 50, limit = "1 ms", minDuration = "300 ms", maxDuration = "300 ms", warmUp = "100 ms", allow = {Doubt.LOAD, Doubt.UNSTEADY, Doubt.CLOCK, Doubt.GARBAGE})
    void fails(LatencyProbe probe) throws Exception {
      probe.measure(() -> milliseconds(2));
    }
  }

  static final class Undecided {
    @LatencyTest(percentile = 90, limit = "10 s", minDuration = "200 ms", maxDuration = "200 ms", warmUp = "100 ms", allow = {Doubt.LOAD, Doubt.UNSTEADY, Doubt.CLOCK, Doubt.GARBAGE})
    void cannotTell(LatencyProbe probe) throws Exception {
      probe.measure(() -> milliseconds(10)); // at most 20 samples, and p90 needs 44
    }
  }

  static final class Model {
    @LatencyTest(bundle = "../../export/bundles/imagenette-mini", threads = 1, percentile = 50, limit = "10 s", minDuration = "300 ms", maxDuration = "20 s", warmUp = "100 ms",
        allow = {Doubt.LOAD, Doubt.UNSTEADY, Doubt.CLOCK, Doubt.GARBAGE})
    void classifies(LatencyProbe probe) throws Exception {
      Image frame = Coppice.image(Path.of(BUNDLE, "../../../docs/images/golf-ball.jpg"));
      probe.measure(() -> probe.classifier().classify(frame));
    }
  }

  static final class Served {
    @LatencyTest(scenario = Scenario.SERVER, rate = 200, percentile = 50, limit = "10 s", minDuration = "500 ms", maxDuration = "20 s", warmUp = "100 ms",
        allow = {Doubt.LOAD, Doubt.UNSTEADY, Doubt.CLOCK, Doubt.GARBAGE})
    void answers(LatencyProbe probe) throws Exception {
      probe.measure(() -> milliseconds(1));
    }
  }

  static final class Throttling {
    @LatencyTest(percentile = 50, limit = "10 s", minDuration = "2 s", maxDuration = "2 s", warmUp = "100 ms", allow = {Doubt.LOAD, Doubt.UNSTEADY, Doubt.GARBAGE})
    void runsHot(LatencyProbe probe) throws Exception {
      long hot = System.nanoTime() + 1_000_000_000;
      Path bits = Path.of(System.getProperty("coppice.test.board"), "sys/devices/platform/soc/soc:firmware/get_throttled");
      probe.measure(() -> {
        milliseconds(1);
        if (System.nanoTime() - hot > 0) {
          Files.writeString(bits, "40004\n");
        }
      });
    }
  }

  static final class Apart {
    private static int fork;

    @LatencyTest(percentile = 50, limit = "10 s", minDuration = "200 ms", maxDuration = "200 ms", warmUp = "100 ms", forks = 2, allow = {Doubt.LOAD, Doubt.UNSTEADY, Doubt.CLOCK, Doubt.GARBAGE})
    void spreads(LatencyProbe probe) throws Exception {
      double millis = fork++ % 2 == 0 ? 1 : 20;
      probe.measure(() -> milliseconds(millis));
    }
  }

  static final class Recorded {
    @LatencyTest(bundle = "../../export/bundles/imagenette-mini", threads = 1, percentile = 50, limit = "10 s", minDuration = "200 ms", maxDuration = "200 ms", warmUp = "100 ms", record = true,
        allow = {Doubt.LOAD, Doubt.UNSTEADY, Doubt.CLOCK, Doubt.GARBAGE})
    void classifies(LatencyProbe probe) throws Exception {
      Image frame = Coppice.image(Path.of(BUNDLE, "../../../docs/images/golf-ball.jpg"));
      probe.measure(() -> probe.classifier().classify(frame));
    }
  }

  static final class Heats {
    static Path temperature; // of the board that the test made up

    @LatencyTest(percentile = 50, limit = "10 s", minDuration = "200 ms", maxDuration = "200 ms", warmUp = "100 ms", coolDown = "1 ms", forks = 2,
        allow = {Doubt.LOAD, Doubt.UNSTEADY, Doubt.CLOCK, Doubt.GARBAGE})
    void leavesItsBoardHot(LatencyProbe probe) throws Exception {
      probe.measure(() -> milliseconds(1));
      Files.writeString(temperature, "60000\n");
    }
  }

  static final class OnlyOnAPi5 {
    @LatencyTest(percentile = 50, limit = "10 s", devices = "raspberry-pi-5", minDuration = "200 ms", maxDuration = "200 ms", warmUp = "100 ms",
        allow = {Doubt.LOAD, Doubt.UNSTEADY, Doubt.CLOCK, Doubt.GARBAGE})
    void passes(LatencyProbe probe) throws Exception {
      probe.measure(() -> milliseconds(1));
    }
  }

  /** Mistakes; each method's name says which. */
  static final class Wrong {
    @LatencyTest(limit = "40")
    void limitWithoutUnit(LatencyProbe probe) {}

    @LatencyTest(limit = "40 ms", percentile = 101)
    void percentileAbove100(LatencyProbe probe) {}

    @LatencyTest(scenario = Scenario.SERVER, rate = 1, percentile = 99.9, limit = "40 ms")
    void tooFewSamples(LatencyProbe probe) {}

    @LatencyTest(scenario = Scenario.SERVER, limit = "40 ms")
    void serverWithoutRate(LatencyProbe probe) {}

    @LatencyTest(limit = "40 ms", forks = 0)
    void noForks(LatencyProbe probe) {}

    @LatencyTest(limit = "40 ms", bundle = "no/such/bundle")
    void noBundle(LatencyProbe probe) {}

    @LatencyTest(limit = "40 ms", devices = "raspberry-pi-9")
    void unknownDevice(LatencyProbe probe) {}

    @LatencyTest(limit = "40 ms")
    void nothingMeasured(LatencyProbe probe) {}

    @LatencyTest(percentile = 50, limit = "10 s", minDuration = "100 ms", maxDuration = "100 ms", warmUp = "50 ms")
    void measuredTwice(LatencyProbe probe) throws Exception {
      try {
        probe.measure(() -> milliseconds(1));
      } catch (TestAbortedException busy) {
        // What this machine makes of it is of no interest.
      }
      probe.measure(() -> milliseconds(1));
    }

    @LatencyTest(limit = "40 ms")
    void classifierWithoutBundle(LatencyProbe probe) {
      probe.classifier();
    }
  }
}
