package dev.coppice.cli;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** One object a line, as Map, List, String, Long and Double; what is no JSON is refused. */
final class JsonLines {

  private static final JsonFactory FACTORY = JsonFactory.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();

  private JsonLines() {}

  static List<Map<String, Object>> read(String text) throws IOException {
    List<Map<String, Object>> out = new ArrayList<>();
    for (String line : text.lines().toList()) {
      try (JsonParser parser = FACTORY.createParser(line)) {
        parser.nextToken();
        out.add(object(value(parser)));
        if (parser.nextToken() != null) {
          throw new IOException("more than one value on a line: " + line);
        }
      }
    }
    return out;
  }

  static Map<String, Object> object(Object value) {
    Map<String, Object> out = new LinkedHashMap<>();
    ((Map<?, ?>) value).forEach((key, item) -> out.put((String) key, item));
    return out;
  }

  static List<Map<String, Object>> objects(Object value) {
    return list(value).stream().map(JsonLines::object).toList();
  }

  static List<Object> list(Object value) {
    return new ArrayList<>((List<?>) value);
  }

  private static Object value(JsonParser parser) throws IOException {
    return switch (parser.currentToken()) {
      case START_OBJECT -> {
        Map<String, Object> object = new LinkedHashMap<>();
        while (parser.nextToken() != JsonToken.END_OBJECT) {
          String key = parser.currentName();
          parser.nextToken();
          object.put(key, value(parser));
        }
        yield object;
      }
      case START_ARRAY -> {
        List<Object> list = new ArrayList<>();
        while (parser.nextToken() != JsonToken.END_ARRAY) {
          list.add(value(parser));
        }
        yield list;
      }
      case VALUE_STRING -> parser.getText();
      case VALUE_NUMBER_INT -> parser.getLongValue();
      case VALUE_NUMBER_FLOAT -> parser.getDoubleValue();
      default -> throw new IOException("unexpected " + parser.currentToken());
    };
  }
}
