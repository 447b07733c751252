package dev.coppice.junit;

import dev.coppice.latency.Durations;
import dev.coppice.latency.Finding;
import dev.coppice.latency.Outcome;
import dev.coppice.latency.PercentileBound;
import java.util.Arrays;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalLong;
import java.util.stream.Collectors;

/** A measurement as one HTML page that needs nothing else. */
final class LatencyPage {

  private static final int WIDTH = 900;
  private static final int HEIGHT = 300;
  private static final int COLUMNS = 450;

  private LatencyPage() {}

  static String of(String test, Map<String, String> about, Outcome outcome) {
    String facts = about.entrySet().stream().map(fact -> "<tr><th>" + escaped(fact.getKey()) + "<td>" + escaped(fact.getValue())).collect(Collectors.joining("\n"));
    String findings = outcome.findings().stream().map(Finding::sentence).map(sentence -> "<li>" + escaped(sentence)).collect(Collectors.joining("\n"));
    String unknown = outcome.unknown().entrySet().stream().map(sensor -> "<li>" + escaped(sensor.getKey() + " is not known: " + sensor.getValue())).sorted().collect(Collectors.joining("\n"));
    return """
        <!DOCTYPE html>
        <html lang="en"><meta charset="utf-8"><title>Latency of %1$s</title>
        <style>body{font:15px sans-serif;max-width:60em;margin:2em auto}th{text-align:left;padding-right:2em}svg{width:100%%}</style>
        <h1>%1$s</h1>
        <p><strong>%2$s</strong>
        <p>%3$s: %4$s
        <h2>Every sample, in order</h2>
        <p>A stroke goes from the fastest to the slowest of neighbouring samples; the axis is logarithmic.
        %5$s
        <ul>
        %6$s
        %7$s
        </ul>
        <table>
        %8$s
        </table>
        """.formatted(escaped(test), escaped(outcome.sentence()), outcome.plan().scenario(), escaped(outcome.plan().scenario().meaning()), plot(outcome), findings, unknown, facts);
  }

  private static String plot(Outcome outcome) {
    long[] nanos = outcome.samples().nanos();
    PercentileBound bound = outcome.plan().bound();
    OptionalLong limit = outcome.plan().limit().map(l -> OptionalLong.of(l.toNanos())).orElse(OptionalLong.empty());
    double low = Math.log(Math.max(1, Arrays.stream(nanos).min().orElseThrow()) * 0.9);
    double high = Math.log(Math.max(outcome.samples().max(), limit.orElse(1)) * 1.1);
    StringBuilder svg = new StringBuilder(String.format(Locale.ROOT, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"latency of every sample\"><path fill=\"none\" stroke=\"#47a\" stroke-width=\"2\" d=\"", WIDTH, HEIGHT));
    int columns = Math.min(COLUMNS, nanos.length);
    for (int column = 0; column < columns; column++) {
      int from = (int) ((long) column * nanos.length / columns);
      int to = (int) ((column + 1L) * nanos.length / columns);
      long fastest = Arrays.stream(nanos, from, to).min().orElseThrow();
      long slowest = Arrays.stream(nanos, from, to).max().orElseThrow();
      double x = (column + 0.5) * WIDTH / columns;
      svg.append(String.format(Locale.ROOT, "M%.1f %.1fV%.1f", x, y(fastest, low, high) + 1, y(slowest, low, high)));
    }
    svg.append("\"/>");
    line(svg, "limit", "#c33", limit, low, high);
    line(svg, "upper bound of p" + bound.percentile(), "#393", outcome.samples().upper(bound), low, high);
    line(svg, "median", "#777", OptionalLong.of(outcome.samples().percentile(50)), low, high);
    return svg.append("</svg>").toString();
  }

  private static void line(StringBuilder svg, String name, String colour, OptionalLong nanos, double low, double high) {
    if (nanos.isPresent()) {
      double y = y(nanos.getAsLong(), low, high);
      svg.append(String.format(Locale.ROOT, "<path stroke=\"%s\" d=\"M0 %.1fH%d\"/><text x=\"4\" y=\"%.1f\" fill=\"%s\" font-size=\"12\">%s %s</text>", colour, y, WIDTH, y - 3, colour, name,
          Durations.text(nanos.getAsLong())));
    }
  }

  private static double y(long nanos, double low, double high) {
    return HEIGHT - HEIGHT * (Math.log(Math.max(nanos, 1)) - low) / (high - low);
  }

  private static String escaped(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\"", "&quot;");
  }
}
