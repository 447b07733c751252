package dev.coppice.latency;

import dev.coppice.device.Board;
import dev.coppice.device.BoardProfile;
import dev.coppice.device.Sensors;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;

/** Waits until a board is cool enough to be measured: so far below the point where its firmware lowers the clock. */
final class CoolDown {

  private static final double BELOW = 10; // kelvin
  private static final long BETWEEN_LOOKS = 1_000_000_000;

  private final Host host;
  private final Path root;
  private long waited;

  CoolDown(Host host, Path root) {
    this.host = host;
    this.root = root;
  }

  /** Waits at most so long; says so if that was too short. Where sensor or throttle point are not known it does not wait. */
  Optional<Finding> await(Duration longest) {
    OptionalDouble throttle = BoardProfile.of(Board.probe(root)).map(BoardProfile::throttleCelsius).orElse(OptionalDouble.empty());
    if (throttle.isEmpty() || longest.isZero()) {
      return Optional.empty();
    }
    double wanted = throttle.getAsDouble() - BELOW;
    long start = host.nanos();
    try (Sensors sensors = new Sensors(root)) {
      while (sensors.celsius() > wanted) { // not for NaN
        if (waited >= longest.toNanos()) {
          return Optional.of(new Finding(Doubt.HEAT, String.format(Locale.ROOT, "the processor had %.1f degrees Celsius after %s of cooling down, expected at most %.0f: stop what heats it, or give it a heat sink or a fan.",
              sensors.celsius(), Durations.text(waited), wanted)));
        }
        host.waitUntil(host.nanos() + BETWEEN_LOOKS);
        waited = host.nanos() - start;
      }
    }
    return Optional.empty();
  }

  /** Nanoseconds. */
  long waited() {
    return waited;
  }
}
