package dev.coppice.latency;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import dev.coppice.api.DeviceState;
import java.io.IOException;
import java.io.StringWriter;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.TreeMap;
import java.util.function.Function;

/** A measurement as JSON; docs/reference/latency-report.md explains each field. */
public final class ReportJson {

  /** Of the schema. */
  public static final int FORMAT = 1;

  private static final JsonFactory FACTORY = new JsonFactory();

  private ReportJson() {}

  /** The whole report of one measurement, with these facts about machine and model. */
  public static String of(Map<String, String> about, Outcome outcome) throws IOException {
    Objects.requireNonNull(about, "about");
    Objects.requireNonNull(outcome, "outcome");
    StringWriter text = new StringWriter();
    try (JsonGenerator json = FACTORY.createGenerator(text).useDefaultPrettyPrinter()) {
      json.writeStartObject();
      json.writeNumberField("format", FORMAT);
      texts(json, "about", about);
      plan(json, outcome.plan());
      result(json, outcome);
      device(json, outcome);
      json.writeArrayFieldStart("findings");
      for (Finding finding : outcome.findings()) {
        json.writeStartObject();
        json.writeStringField("doubt", finding.doubt().name());
        json.writeStringField("sentence", finding.sentence());
        json.writeEndObject();
      }
      json.writeEndArray();
      histogram(json, outcome.samples().nanos());
      json.writeEndObject();
    }
    return text.toString();
  }

  private static void plan(JsonGenerator json, LatencyPlan plan) throws IOException {
    json.writeObjectFieldStart("plan");
    json.writeStringField("scenario", plan.scenario().name());
    json.writeStringField("meaning", plan.scenario().meaning());
    json.writeNumberField("rate", plan.rate());
    json.writeNumberField("percentile", plan.percentile());
    json.writeNumberField("confidence", plan.confidence());
    if (plan.limit().isPresent()) {
      json.writeNumberField("limit_nanos", plan.limit().get().toNanos());
    }
    json.writeNumberField("looks", plan.looks().size());
    json.writeNumberField("seed", plan.seed());
    json.writeEndObject();
  }

  private static void result(JsonGenerator json, Outcome outcome) throws IOException {
    Samples samples = outcome.samples();
    PercentileBound bound = outcome.plan().bound();
    json.writeObjectFieldStart("result");
    if (outcome.verdict().isPresent()) {
      json.writeStringField("verdict", outcome.verdict().get().name());
    }
    json.writeStringField("sentence", outcome.sentence());
    json.writeNumberField("samples", samples.count());
    json.writeNumberField("independent_samples", samples.effectiveCount(bound.percentile()));
    json.writeNumberField("autocorrelation", samples.autocorrelation(bound.percentile()));
    json.writeNumberField("cool_down_nanos", outcome.coolDownNanos());
    json.writeNumberField("own_nanos_per_sample", outcome.ownCost().nanos());
    json.writeNumberField("own_bytes_per_sample", outcome.ownCost().bytes());
    json.writeNumberField("warm_up_runs", outcome.warmUpRuns());
    json.writeNumberField("elapsed_nanos", outcome.elapsedNanos());
    json.writeNumberField("runs_per_second", outcome.throughput());
    json.writeNumberField("mean_nanos", samples.mean());
    json.writeNumberField("p50_nanos", samples.percentile(50));
    json.writeNumberField("p90_nanos", samples.percentile(90));
    json.writeNumberField("p99_nanos", samples.percentile(99));
    json.writeNumberField("max_nanos", samples.max());
    json.writeNumberField("percentile_nanos", samples.percentile(bound.percentile()));
    number(json, "lower_nanos", samples.lower(bound));
    number(json, "upper_nanos", samples.upper(bound));
    json.writeEndObject();
  }

  private static void device(JsonGenerator json, Outcome outcome) throws IOException {
    List<DeviceState> states = outcome.readings();
    json.writeObjectFieldStart("device");
    json.writeNumberField("readings", states.size());
    DeviceState first = states.get(0);
    DeviceState last = states.get(states.size() - 1);
    series(json, "celsius", states, state -> state.celsius().isPresent() ? state.celsius().getAsDouble() : Double.NaN);
    series(json, "slowest_megahertz", states, state -> state.megahertz().stream().mapToInt(Integer::intValue).min().orElse(-1));
    series(json, "fastest_megahertz", states, state -> state.megahertz().stream().mapToInt(Integer::intValue).max().orElse(-1));
    if (!first.governors().isEmpty()) {
      json.writeStringField("governors", String.join(" ", first.governors()));
    }
    number(json, "throttled_first", first.throttled());
    number(json, "throttled_last", last.throttled());
    number(json, "cooling_last", last.cooling());
    series(json, "available_mib", states, state -> state.availableMib().orElse(-1));
    series(json, "free_swap_mib", states, state -> state.freeSwapMib().orElse(-1));
    number(json, "swapped_in_pages", Validity.difference(first, last, DeviceState::swapIns));
    number(json, "stalled_processor_micros", Validity.difference(first, last, state -> state.stalled().processor()));
    number(json, "stalled_memory_micros", Validity.difference(first, last, state -> state.stalled().memory()));
    number(json, "stalled_disk_micros", Validity.difference(first, last, state -> state.stalled().disk()));
    if (Validity.others(first, last).isPresent()) {
      json.writeNumberField("other_load", Validity.others(first, last).getAsDouble());
    }
    texts(json, "unknown", outcome.unknown());
    json.writeEndObject();
  }

  /** First, smallest, largest and last value, if there are any. */
  private static void series(JsonGenerator json, String name, List<DeviceState> states, Function<DeviceState, Number> value) throws IOException {
    double[] known = states.stream().map(value).mapToDouble(Number::doubleValue).filter(number -> !Double.isNaN(number) && number != -1).toArray();
    if (known.length > 0) {
      double low = Double.POSITIVE_INFINITY;
      double high = Double.NEGATIVE_INFINITY;
      for (double number : known) {
        low = Math.min(low, number);
        high = Math.max(high, number);
      }
      json.writeFieldName(name);
      json.writeArray(new double[] {known[0], low, high, known[known.length - 1]}, 0, 4);
    }
  }

  /** Pairs of an upper edge and how many samples lie below it and not below the edge before; edges are 1 % apart. */
  private static void histogram(JsonGenerator json, long[] nanos) throws IOException {
    TreeMap<Long, Integer> counts = new TreeMap<>();
    for (long sample : nanos) {
      counts.merge((long) Math.ceil(Math.pow(1.01, Math.floor(Math.log(Math.max(sample, 1)) / Math.log(1.01)) + 1)), 1, Integer::sum);
    }
    json.writeArrayFieldStart("histogram");
    for (Map.Entry<Long, Integer> bin : counts.entrySet()) {
      json.writeArray(new long[] {bin.getKey(), bin.getValue()}, 0, 2);
    }
    json.writeEndArray();
  }

  private static void texts(JsonGenerator json, String name, Map<String, String> values) throws IOException {
    json.writeObjectFieldStart(name);
    for (Map.Entry<String, String> entry : values.entrySet()) {
      json.writeStringField(entry.getKey(), entry.getValue());
    }
    json.writeEndObject();
  }

  private static void number(JsonGenerator json, String name, OptionalLong value) throws IOException {
    if (value.isPresent()) {
      json.writeNumberField(name, value.getAsLong());
    }
  }
}
