package dev.coppice.junit;

import dev.coppice.Coppice;
import dev.coppice.latency.Durations;
import dev.coppice.latency.Facts;
import dev.coppice.latency.Outcome;
import dev.coppice.latency.ReportJson;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.LinkedHashMap;
import java.util.Map;
import org.HdrHistogram.Histogram;
import org.junit.jupiter.api.MediaType;
import org.junit.jupiter.api.extension.ExtensionContext;

/** Publishes a measurement: the numbers as report entries, and {@code latency.json}, {@code .hgrm} and {@code .html} as files. */
final class Reports {

  private static final double NANOS_PER_MILLI = 1e6;
  private static final int DIGITS = 3;

  private Reports() {}

  static void publish(ExtensionContext context, Path root, LatencyProbe probe, Outcome outcome) throws IOException {
    if (probe.recording().isPresent()) {
      context.publishFile("latency.jfr", MediaType.APPLICATION_OCTET_STREAM, file -> probe.recording().get().dump(file));
    }
    Map<String, String> about = new LinkedHashMap<>();
    about.put("date", LocalDate.now(ZoneOffset.UTC).toString());
    about.putAll(Facts.machine(root, Coppice.diagnostics()));
    probe.opened().ifPresent(classifier -> about.putAll(Facts.model(classifier.bundle(), probe.options().threads())));
    Map<String, String> entries = new LinkedHashMap<>();
    entries.put("coppice.latency", outcome.sentence());
    entries.put("coppice.latency.meaning", outcome.plan().scenario().meaning());
    entries.put("coppice.latency.median", Durations.text(outcome.samples().percentile(50)));
    entries.put("coppice.latency.own", outcome.ownCost().sentence());
    entries.put("coppice.latency.max", Durations.text(outcome.samples().max()));
    outcome.stalls().ifPresent(stalls -> entries.put("coppice.latency.stalls", stalls));
    context.publishReportEntry(entries);
    String json = ReportJson.of(about, outcome);
    context.publishFile("latency.json", MediaType.APPLICATION_JSON, file -> Files.writeString(file, json));
    context.publishFile("latency.hgrm", MediaType.TEXT_PLAIN_UTF_8, file -> histogram(file, outcome));
    context.publishFile("latency.html", MediaType.create("text", "html", StandardCharsets.UTF_8), file -> Files.writeString(file, LatencyPage.of(context.getRequiredTestMethod().getName(), about, outcome)));
  }

  /** In milliseconds. */
  private static void histogram(Path file, Outcome outcome) throws IOException {
    Histogram histogram = new Histogram(DIGITS);
    for (long nanos : outcome.samples().nanos()) {
      histogram.recordValue(nanos);
    }
    try (PrintStream out = new PrintStream(Files.newOutputStream(file), false, StandardCharsets.UTF_8)) {
      histogram.outputPercentileDistribution(out, NANOS_PER_MILLI);
    }
  }
}
