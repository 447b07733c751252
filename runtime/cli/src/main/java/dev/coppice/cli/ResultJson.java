package dev.coppice.cli;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import dev.coppice.api.Label;
import dev.coppice.api.Result;
import dev.coppice.api.Timings;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.List;

/** A result as one line of JSON; docs/reference/command-line.md explains each key. */
final class ResultJson {

  private static final JsonFactory FACTORY = new JsonFactory();

  private ResultJson() {}

  static String line(Path file, Result result) throws IOException {
    StringWriter text = new StringWriter();
    try (JsonGenerator json = FACTORY.createGenerator(text)) {
      json.writeStartObject();
      json.writeStringField("image", file.toString());
      json.writeArrayFieldStart("labels");
      for (Label label : result.labels()) {
        json.writeStartObject();
        json.writeNumberField("index", label.index());
        json.writeStringField("name", label.name());
        json.writeNumberField("score", label.score());
        json.writeEndObject();
      }
      json.writeEndArray();
      if (result.rung().isPresent()) {
        json.writeStringField("rung", result.rung().get());
      }
      integers(json, "keep", result.keep());
      json.writeArrayFieldStart("kept");
      for (List<Integer> stage : result.kept()) {
        json.writeArray(stage.stream().mapToInt(Integer::intValue).toArray(), 0, stage.size());
      }
      json.writeEndArray();
      Timings nanos = result.timings();
      json.writeObjectFieldStart("nanos");
      json.writeNumberField("decode", nanos.decode());
      json.writeNumberField("preprocess", nanos.preprocess());
      json.writeNumberField("run", nanos.run());
      json.writeNumberField("rank", nanos.rank());
      json.writeNumberField("total", nanos.total());
      json.writeEndObject();
      json.writeEndObject();
    }
    return text.toString();
  }

  private static void integers(JsonGenerator json, String name, List<Integer> values) throws IOException {
    json.writeFieldName(name);
    json.writeArray(values.stream().mapToInt(Integer::intValue).toArray(), 0, values.size());
  }
}
