package dev.coppice.ort;

import java.io.IOException;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.TreeMap;
import java.util.stream.Stream;

/** A case of native/golden: a model of one operator, inputs, and outputs of the double-precision reference. */
record GoldenCase(Path folder, double tolerance, Map<String, OperatorSession.Value> inputs, Map<String, OperatorSession.Value> outputs) {

  static List<GoldenCase> all(Path root) {
    try (Stream<Path> files = Files.walk(root, 3)) {
      return files.filter(f -> f.endsWith("case.properties")).sorted().map(f -> read(f.getParent())).toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static GoldenCase read(Path folder) {
    Properties properties = new Properties();
    try (Reader reader = Files.newBufferedReader(folder.resolve("case.properties"))) {
      properties.load(reader);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    double tolerance = Double.parseDouble(properties.getProperty("tolerance"));
    return new GoldenCase(folder, tolerance, values(folder, properties, "input."), values(folder, properties, "output."));
  }

  byte[] model() throws IOException {
    return Files.readAllBytes(folder.resolve("model.onnx"));
  }

  /** Where {@code found} leaves the expected output, if it does. */
  Optional<String> difference(String output, OperatorSession.Value found) {
    OperatorSession.Value expected = outputs.get(output);
    if (!Arrays.equals(expected.shape(), found.shape())) {
      return Optional.of(output + ": expected shape " + Arrays.toString(expected.shape()) + ", found " + Arrays.toString(found.shape()));
    }
    if (expected.data() instanceof long[] integers) {
      return Arrays.equals(integers, (long[]) found.data()) ? Optional.empty()
          : Optional.of(output + ": expected " + Arrays.toString(integers) + ", found " + Arrays.toString((long[]) found.data()));
    }
    float[] wanted = expected.data() instanceof short[] halves ? widened(halves) : (float[]) expected.data();
    float[] values = found.data() instanceof short[] halves ? widened(halves) : (float[]) found.data();
    for (int i = 0; i < wanted.length; i++) {
      // Written so that a NaN that nobody expects is a difference.
      boolean same = Float.compare(wanted[i], values[i]) == 0 || Math.abs((double) wanted[i] - values[i]) <= tolerance;
      if (!same) {
        return Optional.of(output + "[" + i + "]: expected " + wanted[i] + " within " + tolerance + ", found " + values[i]);
      }
    }
    return Optional.empty();
  }

  /** float16 by its definition; {@code Float.float16ToFloat} came with Java 20. */
  static float[] widened(short[] halves) {
    float[] values = new float[halves.length];
    for (int i = 0; i < halves.length; i++) {
      int exponent = halves[i] >> 10 & 0x1f;
      int fraction = halves[i] & 0x3ff;
      float magnitude = exponent == 0 ? Math.scalb((float) fraction, -24) : Math.scalb((float) (1024 + fraction), exponent - 25);
      if (exponent == 0x1f) {
        magnitude = fraction == 0 ? Float.POSITIVE_INFINITY : Float.NaN;
      }
      values[i] = halves[i] < 0 ? -magnitude : magnitude;
    }
    return values;
  }

  private static Map<String, OperatorSession.Value> values(Path folder, Properties properties, String prefix) {
    Map<String, OperatorSession.Value> values = new TreeMap<>();
    for (String key : properties.stringPropertyNames()) {
      if (key.startsWith(prefix)) {
        values.put(key.substring(prefix.length()), value(folder.resolve(key + ".bin"), properties.getProperty(key)));
      }
    }
    return values;
  }

  private static OperatorSession.Value value(Path file, String type) {
    String axes = type.substring(type.indexOf('[') + 1, type.length() - 1);
    long[] shape = axes.isEmpty() ? new long[0] : Stream.of(axes.split(",")).mapToLong(Long::parseLong).toArray();
    ByteBuffer bytes;
    try {
      bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    if (type.startsWith("int64")) {
      long[] data = new long[bytes.remaining() / Long.BYTES];
      bytes.asLongBuffer().get(data);
      return new OperatorSession.Value(data, shape);
    }
    if (type.startsWith("uint8")) {
      return new OperatorSession.Value(bytes.array(), shape);
    }
    if (type.startsWith("float16")) {
      short[] data = new short[bytes.remaining() / Short.BYTES];
      bytes.asShortBuffer().get(data);
      return new OperatorSession.Value(data, shape);
    }
    FloatBuffer floats = bytes.asFloatBuffer();
    float[] data = new float[floats.remaining()];
    floats.get(data);
    return new OperatorSession.Value(data, shape);
  }

  @Override
  public String toString() {
    return folder.getParent().getFileName() + "/" + folder.getFileName();
  }
}
