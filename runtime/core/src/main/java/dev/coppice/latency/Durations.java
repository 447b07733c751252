package dev.coppice.latency;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Durations as people write them. */
public final class Durations {

  private static final Map<String, Long> NANOS = Map.of("us", 1_000L, "ms", 1_000_000L, "s", 1_000_000_000L, "min", 60_000_000_000L);
  private static final Pattern TEXT = Pattern.compile("(\\d{1,9}(?:\\.\\d{1,9})?) ?(us|ms|s|min)");

  private Durations() {}

  /**
   * Reads {@code 40 ms}, {@code 2.5 s}, {@code 250 us} or {@code 1 min}.
   *
   * @param name of the value, for the refusal
   * @throws IllegalArgumentException if the text is no duration above 0 with a unit
   */
  public static Duration parse(String name, String text) {
    Objects.requireNonNull(name, "name");
    Matcher found = TEXT.matcher(Objects.requireNonNull(text, "text").strip());
    BigDecimal nanos = found.matches() ? new BigDecimal(found.group(1)).multiply(BigDecimal.valueOf(NANOS.get(found.group(2)))) : BigDecimal.ZERO;
    if (nanos.compareTo(BigDecimal.ONE) < 0) {
      throw new IllegalArgumentException(name + " must be a duration above 0 with its unit (us, ms, s or min), such as 40 ms: " + text);
    }
    return Duration.ofNanos(nanos.setScale(0, RoundingMode.HALF_UP).longValueExact());
  }

  /** Three or more digits and the unit that suits them. */
  public static String text(double nanos) {
    String unit = nanos < 1e6 ? "us" : nanos < 1e9 ? "ms" : "s";
    double value = nanos / NANOS.get(unit);
    return String.format(Locale.ROOT, value < 10 ? "%.3f %s" : value < 100 ? "%.2f %s" : "%.1f %s", value, unit);
  }
}
