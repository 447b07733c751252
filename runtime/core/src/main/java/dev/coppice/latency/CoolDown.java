package dev.coppice.latency;

import dev.coppice.device.Board;
import dev.coppice.device.BoardProfile;
import dev.coppice.device.Sensors;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * Waits until a board is cool enough to be measured: so far below the point where its firmware lowers the clock, and after a first
 * measurement about as cool as that began.
 */
final class CoolDown {

  private static final double BELOW = 10; // kelvin
  private static final double ABOVE = 3; // kelvin
  private static final long BETWEEN_LOOKS = 1_000_000_000;

  private final Host host;
  private final Path root;
  private long waited;
  private double celsius = Double.NaN;

  CoolDown(Host host, Path root) {
    this.host = host;
    this.root = root;
  }

  /**
   * Waits at most so long; says so if that was too short. Where the sensor is not known, or neither the throttle point nor a first
   * measurement, it does not wait.
   *
   * @param first temperature at which the first of several measurements began
   */
  Optional<Finding> await(Duration longest, OptionalDouble first) {
    OptionalDouble throttle = BoardProfile.of(Board.probe(root)).map(BoardProfile::throttleCelsius).orElse(OptionalDouble.empty());
    double wanted = Math.min(throttle.orElse(Double.POSITIVE_INFINITY) - BELOW, first.orElse(Double.POSITIVE_INFINITY) + ABOVE);
    long start = host.nanos();
    try (Sensors sensors = new Sensors(root)) {
      for (celsius = sensors.celsius(); celsius > wanted && !longest.isZero(); celsius = sensors.celsius()) { // not for NaN
        if (waited >= longest.toNanos()) {
          return Optional.of(new Finding(Doubt.HEAT, String.format(Locale.ROOT, "the processor had %.1f degrees Celsius after %s of cooling down, expected at most %.1f: stop what heats it, or give it a heat sink or a fan.",
              celsius, Durations.text(waited), wanted)));
        }
        host.waitUntil(host.nanos() + BETWEEN_LOOKS);
        waited = host.nanos() - start;
      }
    }
    return Optional.empty();
  }

  /** Degrees at the end of the wait; empty if not known. */
  OptionalDouble celsius() {
    return Double.isNaN(celsius) ? OptionalDouble.empty() : OptionalDouble.of(celsius);
  }

  /** Nanoseconds. */
  long waited() {
    return waited;
  }
}
