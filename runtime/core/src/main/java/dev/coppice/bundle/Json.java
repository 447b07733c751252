package dev.coppice.bundle;

import com.fasterxml.jackson.core.ErrorReportConfiguration;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.StreamWriteConstraints;
import com.fasterxml.jackson.core.io.ContentReference;
import com.fasterxml.jackson.core.io.IOContext;
import com.fasterxml.jackson.core.json.UTF8StreamJsonParser;
import com.fasterxml.jackson.core.sym.ByteQuadsCanonicalizer;
import com.fasterxml.jackson.core.util.BufferRecycler;
import dev.coppice.api.BundleException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A JSON object that is read strictly: a missing key, a value of another type, a repeated key and, by {@link #end()}, a
 * key that nobody asked for are refused with the file and the place.
 */
final class Json {

  private static final int LONGEST_TEXT = 65_536;

  private final String place;
  private final Map<String, Object> unread;

  private Json(String place, Map<String, Object> values) {
    this.place = place;
    this.unread = values;
  }

  /** Parses a document whose root is an object; {@code file} names it in messages. */
  static Json parse(String file, byte[] document) {
    return parse(file, document, LONGEST_TEXT);
  }

  /** The same for a document with texts of up to {@code longestText} characters. */
  static Json parse(String file, byte[] document, int longestText) {
    try (JsonParser parser = parser(document, longestText)) {
      Object root = parser.nextToken() == JsonToken.START_OBJECT ? value(parser) : null;
      if (root == null || parser.nextToken() != null) {
        throw new BundleException("manifest", file + ": expected one JSON object; restore the file from its bundle.");
      }
      return object(file, root);
    } catch (IOException e) {
      String reason = String.valueOf(e.getMessage()).lines().findFirst().orElse("").strip();
      throw new BundleException("manifest", file + ": not valid JSON (" + reason + "); restore the file from its bundle.", e);
    }
  }

  /** Without a factory, whose first use loads every reader and writer that there is: 15 ms of a JVM's first 300. */
  private static JsonParser parser(byte[] document, int longestText) {
    StreamReadConstraints limits = StreamReadConstraints.builder().maxNestingDepth(16).maxStringLength(longestText).maxNumberLength(40).build();
    IOContext context = new IOContext(limits, StreamWriteConstraints.defaults(), ErrorReportConfiguration.defaults(), new BufferRecycler(),
        ContentReference.unknown(), false);
    return new UTF8StreamJsonParser(context, StreamReadFeature.STRICT_DUPLICATE_DETECTION.mappedFeature().getMask(), null, null,
        ByteQuadsCanonicalizer.createRoot().makeChild(0), document, 0, document.length, 0, false);
  }

  private static Object value(JsonParser parser) throws IOException {
    switch (parser.currentToken()) {
      case START_OBJECT:
        Map<String, Object> object = new LinkedHashMap<>();
        while (parser.nextToken() != JsonToken.END_OBJECT) {
          String key = parser.currentName();
          parser.nextToken();
          object.put(key, value(parser));
        }
        return object;
      case START_ARRAY:
        List<Object> array = new ArrayList<>();
        while (parser.nextToken() != JsonToken.END_ARRAY) {
          array.add(value(parser));
        }
        return array;
      case VALUE_STRING:
        return parser.getText();
      case VALUE_NUMBER_INT:
        return parser.getLongValue();
      case VALUE_NUMBER_FLOAT:
        return parser.getDoubleValue();
      case VALUE_TRUE, VALUE_FALSE:
        return parser.getBooleanValue();
      default:
        // Null has no meaning in a bundle: it is of no type that a key expects, and the type error names the place.
        return parser.currentToken();
    }
  }

  private static Json object(String place, Object value) {
    Map<String, Object> values = new LinkedHashMap<>();
    Map<?, ?> raw = cast(place, Map.class, "an object", value);
    for (Map.Entry<?, ?> item : raw.entrySet()) {
      values.put(printable(place, (String) item.getKey()), item.getValue());
    }
    return new Json(place, values);
  }

  private static <T> T cast(String place, Class<T> type, String name, Object value) {
    if (!type.isInstance(value)) {
      throw new BundleException("manifest", place + ": expected " + name + ", found " + shortened(value) + "; export the bundle again.");
    }
    return type.cast(value);
  }

  /** Names and labels end up in messages, on terminals and as file names, where control characters have powers. */
  private static String printable(String place, String text) {
    for (int i = 0; i < text.length(); i++) {
      if (Character.isISOControl(text.charAt(i))) {
        throw new BundleException("manifest", place + ": expected text without control characters, found " + String.format("U+%04X", (int) text.charAt(i))
            + "; export the bundle again.");
      }
    }
    return text;
  }

  static String shortened(Object value) {
    String text = value == null ? "nothing" : value instanceof String ? "\"" + value + "\"" : value instanceof JsonToken token ? token.asString() : value.toString();
    return text.length() > 60 ? text.substring(0, 60) + "…" : text;
  }

  private String at(String key) {
    return place + ": " + key;
  }

  private String at(String key, int number) {
    return at(key) + "[" + number + "]";
  }

  private <T> T take(String key, Class<T> type, String name) {
    return cast(at(key), type, name, unread.remove(key));
  }

  boolean has(String key) {
    return unread.containsKey(key);
  }

  String text(String key) {
    return printable(at(key), take(key, String.class, "a text"));
  }

  boolean flag(String key) {
    return take(key, Boolean.class, "true or false");
  }

  long integer(String key, long low, long high) {
    return inRange(at(key), take(key, Long.class, "an integer"), low, high);
  }

  private static long inRange(String place, long value, long low, long high) {
    if (value < low || value > high) {
      throw new BundleException("manifest", place + ": expected " + low + ".." + high + ", found " + value + "; export the bundle again.");
    }
    return value;
  }

  double number(String key) {
    return take(key, Number.class, "a number").doubleValue();
  }

  Json object(String key) {
    return object(at(key), unread.remove(key));
  }

  List<Json> objects(String key) {
    List<Json> out = new ArrayList<>();
    for (Object value : list(key)) {
      out.add(object(at(key, out.size()), value));
    }
    return out;
  }

  List<String> texts(String key) {
    List<String> out = new ArrayList<>();
    for (Object value : list(key)) {
      String where = at(key, out.size());
      out.add(printable(where, cast(where, String.class, "a text", value)));
    }
    return out;
  }

  List<Integer> integers(String key, int low, int high) {
    List<Integer> out = new ArrayList<>();
    for (Object value : list(key)) {
      String where = at(key, out.size());
      out.add((int) inRange(where, cast(where, Long.class, "an integer", value), low, high));
    }
    return out;
  }

  List<Float> numbers(String key) {
    List<Float> out = new ArrayList<>();
    for (Object value : list(key)) {
      out.add(cast(at(key, out.size()), Number.class, "a number", value).floatValue());
    }
    return out;
  }

  private List<?> list(String key) {
    return take(key, List.class, "a list");
  }

  /** Every remaining key with an object as value, in order. */
  Map<String, Json> objectsByKey() {
    Map<String, Json> out = new LinkedHashMap<>();
    for (String key : List.copyOf(unread.keySet())) {
      out.put(key, object(key));
    }
    return out;
  }

  /** Every remaining key with a text as value, in order. */
  Map<String, String> textsByKey() {
    Map<String, String> out = new LinkedHashMap<>();
    for (String key : List.copyOf(unread.keySet())) {
      out.put(key, text(key));
    }
    return out;
  }

  /** Says that keys not asked for may be there: for files whose format belongs to others. */
  void ignoreRest() {
    unread.clear();
  }

  /** Refuses keys that nobody asked for. */
  void end() {
    if (!unread.isEmpty()) {
      throw new BundleException("manifest", place + ": unknown key \"" + unread.keySet().iterator().next()
          + "\"; use a newer Coppice, or export the bundle again.");
    }
  }
}
