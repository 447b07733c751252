package dev.coppice.junit;

import dev.coppice.latency.Durations;
import dev.coppice.latency.Finding;
import dev.coppice.latency.Outcome;
import dev.coppice.latency.PercentileBound;
import dev.coppice.latency.Samples;
import java.math.BigDecimal;
import java.util.Arrays;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalLong;
import java.util.stream.Collectors;

/** A measurement as one HTML page that needs nothing else. */
final class LatencyPage {

  private static final int WIDTH = 900;
  private static final int HEIGHT = 300;
  private static final int LEFT = 60;
  private static final int COLUMNS = 420;

  private LatencyPage() {}

  static String of(String test, Map<String, String> about, Outcome outcome) {
    String facts = about.entrySet().stream().map(fact -> "<tr><th>" + escaped(fact.getKey()) + "<td>" + escaped(fact.getValue())).collect(Collectors.joining("\n"));
    String findings = outcome.findings().stream().map(Finding::sentence).map(sentence -> "<li>" + escaped(sentence)).collect(Collectors.joining("\n"));
    String unknown = outcome.unknown().entrySet().stream().map(sensor -> "<li>" + escaped("Not known: " + sensor.getKey() + " (" + sensor.getValue() + ").")).sorted().collect(Collectors.joining("\n"));
    String colour = Map.of("PASS", "#2a7a3b", "FAIL", "#b3261e").getOrDefault(outcome.verdict().map(Enum::name).orElse(""), "#8a5a00");
    return """
        <!DOCTYPE html>
        <html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Latency of %1$s</title>
        <style>body{font:15px/1.45 sans-serif;color:#222;max-width:60em;margin:2em auto;padding:0 1em}.verdict{border-left:6px solid %9$s;padding:.4em 1em;background:#f6f6f6}
        table{border-collapse:collapse}th{text-align:left;padding-right:2em;font-weight:normal;color:#666}td{overflow-wrap:anywhere}svg{width:100%%}</style>
        <h1>%1$s</h1>
        <p class="verdict"><strong>%2$s</strong>
        <p>%3$s: %4$s. %10$s
        <h2>Every sample, in order</h2>
        %5$s
        <p>A stroke goes from the fastest to the slowest of neighbouring samples; the axis is logarithmic.
        <ul>
        %6$s
        %7$s
        </ul>
        <h2>Where and what</h2>
        <table>
        %8$s
        </table>
        """.formatted(escaped(test), escaped(outcome.sentence()), outcome.plan().scenario(), escaped(outcome.plan().scenario().meaning()), plot(outcome), findings, unknown, facts, colour,
        escaped(numbers(outcome)));
  }

  private static String numbers(Outcome outcome) {
    Samples samples = outcome.samples();
    return "Median " + Durations.text(samples.percentile(50)) + ", p90 " + Durations.text(samples.percentile(90)) + ", p99 " + Durations.text(samples.percentile(99)) + ", longest "
        + Durations.text(samples.max()) + String.format(Locale.ROOT, ", %.1f runs a second. ", outcome.throughput()) + outcome.ownCost().sentence();
  }

  private static String plot(Outcome outcome) {
    long[] nanos = outcome.samples().nanos();
    PercentileBound bound = outcome.plan().bound();
    OptionalLong limit = outcome.plan().limit().map(l -> OptionalLong.of(l.toNanos())).orElse(OptionalLong.empty());
    double low = Math.log(Math.max(1, Arrays.stream(nanos).min().orElseThrow()) * 0.9);
    double high = Math.log(Math.max(outcome.samples().max(), limit.orElse(1)) * 1.1);
    StringBuilder svg = new StringBuilder(String.format(Locale.ROOT, "<svg viewBox=\"0 -24 %d %d\" font-family=\"sans-serif\" font-size=\"12\" role=\"img\" aria-label=\"latency of every sample\">", WIDTH, HEIGHT + 44));
    ticks(svg, low, high);
    svg.append("<path fill=\"none\" stroke=\"#47a\" stroke-width=\"2\" d=\"");
    int columns = Math.min(COLUMNS, nanos.length);
    for (int column = 0; column < columns; column++) {
      int from = (int) ((long) column * nanos.length / columns);
      int to = (int) ((column + 1L) * nanos.length / columns);
      long fastest = Arrays.stream(nanos, from, to).min().orElseThrow();
      long slowest = Arrays.stream(nanos, from, to).max().orElseThrow();
      double x = LEFT + (column + 0.5) * (WIDTH - LEFT) / columns;
      svg.append(String.format(Locale.ROOT, "M%.1f %.1fV%.1f", x, y(fastest, low, high) + 1, y(slowest, low, high) - 1)); // a single sample is a dot
    }
    svg.append("\"/>");
    line(svg, 0, "limit", "#c33", limit, low, high);
    line(svg, 1, "upper bound of p" + number(bound.percentile()), "#393", outcome.samples().upper(bound), low, high);
    line(svg, 2, "median", "#555", OptionalLong.of(outcome.samples().percentile(50)), low, high);
    return svg.append(String.format(Locale.ROOT, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%d samples</text></svg>", WIDTH, HEIGHT + 16, nanos.length)).toString();
  }

  /** At 1, 2 and 5 times the powers of ten. */
  private static void ticks(StringBuilder svg, double low, double high) {
    for (long power = 1; Math.log(power) < high; power *= 10) {
      for (long nanos : new long[] {power, 2 * power, 5 * power}) {
        if (Math.log(nanos) > low && Math.log(nanos) < high) {
          double y = y(nanos, low, high);
          svg.append(String.format(Locale.ROOT, "<path stroke=\"#ddd\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\" fill=\"#555\">%s</text>", LEFT, y, WIDTH, LEFT - 6, y + 4, tick(nanos)));
        }
      }
    }
  }

  private static String tick(long nanos) {
    return nanos >= 1_000_000_000 ? nanos / 1_000_000_000 + " s" : nanos >= 1_000_000 ? nanos / 1_000_000 + " ms" : nanos >= 1000 ? nanos / 1000 + " µs" : nanos + " ns";
  }

  private static String number(double value) {
    return BigDecimal.valueOf(value).stripTrailingZeros().toPlainString();
  }

  /** A dashed line over the samples, and its name in a row above them. */
  private static void line(StringBuilder svg, int place, String name, String colour, OptionalLong nanos, double low, double high) {
    if (nanos.isPresent()) {
      double y = y(nanos.getAsLong(), low, high);
      int x = LEFT + 270 * place;
      svg.append(String.format(Locale.ROOT, "<path stroke=\"%1$s\" stroke-width=\"1.5\" stroke-dasharray=\"6 3\" d=\"M%2$d %3$.1fH%4$dM%5$d -12h24\"/><text x=\"%6$d\" y=\"-8\" fill=\"%1$s\">%7$s %8$s</text>", colour, LEFT, y,
          WIDTH, x, x + 30, name, Durations.text(nanos.getAsLong())));
    }
  }

  private static double y(long nanos, double low, double high) {
    return HEIGHT - HEIGHT * (Math.log(Math.max(nanos, 1)) - low) / (high - low);
  }

  private static String escaped(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\"", "&quot;");
  }
}
