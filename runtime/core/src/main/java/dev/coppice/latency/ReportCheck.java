package dev.coppice.latency;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Pattern;

/** Checks a report that somebody sent in: its fields, and whether they agree with each other. */
public final class ReportCheck {

  private static final JsonFactory FACTORY = JsonFactory.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();
  private static final Pattern TEXTS = Pattern.compile("about\\.(date|board|machine|processors|clock_range_mhz|memory_mib|swap_mib|power_mode|platform|glibc|java|jvm_flags|collectors|onnxruntime|library_sha256|isa|bundle|bundle_sha256|model_sha256|precision|keep|threads)"
      + "|plan\\.(scenario|meaning)|result\\.(verdict|sentence)|device\\.governors|device\\.unknown\\.[a-z ]+|findings\\.\\d+\\.(doubt|sentence)");
  private static final Pattern NUMBERS = Pattern.compile("format|plan\\.(rate|percentile|confidence|limit_nanos|looks|seed)"
      + "|result\\.(samples|independent_samples|autocorrelation|cool_down_nanos|own_nanos_per_sample|own_bytes_per_sample|warm_up_runs|elapsed_nanos|runs_per_second|(mean|p50|p90|p99|max|percentile|lower|upper)_nanos)"
      + "|device\\.(readings|throttled_first|throttled_last|cooling_last|swapped_in_pages|stalled_(processor|memory|disk)_micros|other_load|(celsius|available_mib|free_swap_mib|slowest_megahertz|fastest_megahertz)\\.[0-3])|histogram\\.\\d+\\.[01]");
  private static final List<String> REQUIRED = List.of("format", "about.date", "about.board", "about.machine", "about.memory_mib", "about.swap_mib", "about.power_mode", "about.java", "about.onnxruntime", "about.library_sha256", "about.isa", "plan.scenario", "plan.rate",
      "plan.percentile", "plan.confidence", "plan.looks", "result.sentence", "result.samples", "result.independent_samples", "result.elapsed_nanos", "result.p50_nanos", "result.p90_nanos",
      "result.p99_nanos", "result.max_nanos", "device.readings", "histogram.0.0");
  private static final double BIN = 1.01;

  private final Map<String, Object> values = new LinkedHashMap<>();
  private final List<String> faults = new ArrayList<>();

  private ReportCheck() {}

  /** What is wrong with a report, a sentence each; nothing if it can be believed as far as it can be checked. */
  public static List<String> faults(String report) {
    ReportCheck check = new ReportCheck();
    try {
      check.read(Objects.requireNonNull(report, "report"));
    } catch (IOException e) {
      return List.of("The report is not valid JSON (" + String.valueOf(e.getMessage()).lines().findFirst().orElse("").strip() + "): send the file as `coppice latency --report` wrote it.");
    }
    check.fields();
    if (check.faults.isEmpty()) {
      check.agreement();
    }
    return check.faults;
  }

  /** A report's texts and numbers by their paths, such as {@code result.p50_nanos}. */
  static Map<String, Object> values(String report) throws IOException {
    ReportCheck check = new ReportCheck();
    check.read(report);
    return check.values;
  }

  private void read(String report) throws IOException {
    try (JsonParser parser = FACTORY.createParser(report)) {
      parser.nextToken();
      read(parser, "");
    }
  }

  /** Every value by its path. */
  private void read(JsonParser parser, String path) throws IOException {
    JsonToken token = parser.currentToken();
    if (token == JsonToken.START_OBJECT) {
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String name = parser.currentName();
        parser.nextToken();
        read(parser, path.isEmpty() ? name : path + "." + name);
      }
    } else if (token == JsonToken.START_ARRAY) {
      for (int i = 0; parser.nextToken() != JsonToken.END_ARRAY; i++) {
        read(parser, path + "." + i);
      }
    } else {
      values.put(path, token == JsonToken.VALUE_STRING ? parser.getText() : token != null && token.isNumeric() ? (Object) parser.getDoubleValue() : Boolean.FALSE);
    }
  }

  private void fields() {
    REQUIRED.stream().filter(path -> !values.containsKey(path)).forEach(path -> faults.add("Field " + path + " is missing."));
    values.forEach((path, value) -> {
      boolean fits = value instanceof String ? TEXTS.matcher(path).matches() : value instanceof Double && NUMBERS.matcher(path).matches();
      if (!fits) {
        faults.add("Field " + (path.length() > 80 ? path.substring(0, 80) + "…" : path) + " is unknown or of another type.");
      }
    });
    if (values.get("format") instanceof Double format && format != ReportJson.FORMAT) {
      faults.add("Field format must be " + ReportJson.FORMAT + ": " + format.intValue() + ".");
    }
  }

  private void agreement() {
    double total = 0;
    for (int i = 0; values.containsKey("histogram." + i + ".0"); i++) {
      total += number("histogram." + i + ".1");
    }
    if (total != number("result.samples")) {
      faults.add("The histogram has " + (long) total + " samples and result.samples says " + (long) number("result.samples") + ".");
    }
    for (int percentile : new int[] {50, 90, 99}) {
      double rank = Math.ceil(percentile / 100.0 * total - 1e-9);
      int bin = -1;
      for (double sum = 0; sum < rank && values.containsKey("histogram." + (bin + 1) + ".0"); ) {
        sum += number("histogram." + ++bin + ".1");
      }
      double edge = bin < 0 ? 0 : number("histogram." + bin + ".0");
      double said = number("result.p" + percentile + "_nanos");
      if (said > edge || said < edge / (BIN * BIN) - 2) {
        faults.add("Field result.p" + percentile + "_nanos is " + (long) said + " and the histogram says about " + (long) edge + ".");
      }
    }
    String board = String.valueOf(values.get("about.board"));
    if (!board.equals("unknown") && !Facts.boards().contains(board)) {
      faults.add("Field about.board must be unknown or one of " + Facts.boards() + ".");
    }
    String verdict = String.valueOf(values.getOrDefault("result.verdict", ""));
    double limit = values.containsKey("plan.limit_nanos") ? number("plan.limit_nanos") : Double.NaN;
    if (verdict.equals("PASS") && !(values.containsKey("result.upper_nanos") && number("result.upper_nanos") <= limit)) {
      faults.add("Field result.verdict is PASS, and the upper bound is not within the limit.");
    }
    if (values.keySet().stream().anyMatch(path -> path.startsWith("findings.")) && verdict.equals("PASS") && !values.get("result.sentence").toString().startsWith("Allowed: ")) {
      faults.add("Field result.verdict is PASS although findings speak against it.");
    }
  }

  private double number(String path) {
    return (Double) values.get(path);
  }
}
