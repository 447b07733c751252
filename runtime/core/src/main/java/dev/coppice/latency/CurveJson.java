package dev.coppice.latency;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import dev.coppice.api.BundleInfo;
import java.io.IOException;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** A curve as {@code coppice-export search} reads it; docs/reference/latency-curve.md explains each field. */
public final class CurveJson {

  private static final int FORMAT = 2; // 1 has a time for every block, which only the exporter can measure
  private static final int DIGITS = 4; // a tenth of a microsecond

  private CurveJson() {}

  /** The whole file, with these facts about the machine (`machine`, `isa`, `onnxruntime`). */
  public static String of(BundleInfo bundle, Map<String, String> machine, int threads, TokenCurve curve) throws IOException {
    Objects.requireNonNull(bundle, "bundle");
    Objects.requireNonNull(machine, "machine");
    Objects.requireNonNull(curve, "curve");
    StringWriter text = new StringWriter();
    try (JsonGenerator json = new JsonFactory().createGenerator(text)) {
      json.writeStartObject();
      json.writeNumberField("format", FORMAT);
      json.writeStringField("model", bundle.name() + " " + bundle.version());
      json.writeStringField("bundle_sha256", bundle.sha256());
      json.writeObjectFieldStart("machine");
      json.writeStringField("board", machine.get("machine"));
      json.writeStringField("isa", machine.get("isa"));
      json.writeNumberField("threads", threads);
      json.writeStringField("onnxruntime", machine.get("onnxruntime"));
      json.writeEndObject();
      json.writeArrayFieldStart("operators");
      for (String operator : bundle.operators()) {
        json.writeString(operator);
      }
      json.writeEndArray();
      int patches = bundle.grid() * bundle.grid();
      json.writeNumberField("patches", patches);
      json.writeNumberField("prefix", bundle.prefixTokens());
      integers(json, "blocks", bundle.reducingBlocks());
      integers(json, "grid", CurveBudgets.grid(patches));
      json.writeNumberField("rounds", curve.rounds());
      json.writeArrayFieldStart("findings");
      for (Finding finding : curve.findings()) {
        json.writeString(finding.sentence());
      }
      json.writeEndArray();
      json.writeArrayFieldStart("points");
      for (TokenCurve.Point point : curve.points()) {
        json.writeStartObject();
        integers(json, "keep", point.keep());
        json.writeNumberField("ms", rounded(point.millis()));
        json.writeNumberField("low", rounded(point.low()));
        json.writeNumberField("high", rounded(point.high()));
        json.writeEndObject();
      }
      json.writeEndArray();
      json.writeEndObject();
    }
    return text + "\n";
  }

  private static BigDecimal rounded(double millis) {
    return BigDecimal.valueOf(millis).setScale(DIGITS, RoundingMode.HALF_UP);
  }

  private static void integers(JsonGenerator json, String name, List<Integer> values) throws IOException {
    json.writeFieldName(name);
    json.writeArray(values.stream().mapToInt(Integer::intValue).toArray(), 0, values.size());
  }
}
