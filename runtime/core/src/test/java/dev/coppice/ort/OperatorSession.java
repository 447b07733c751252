package dev.coppice.ort;

import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtLoggingLevel;
import ai.onnxruntime.OrtSession;
import dev.coppice.ops.OperatorLibrary;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;
import java.nio.ShortBuffer;
import java.util.HashMap;
import java.util.Map;

/** A model run by ONNX Runtime with the operator library: all that stands between a test and a kernel. */
final class OperatorSession implements AutoCloseable {

  private final OrtEnvironment environment = OrtEnvironment.getEnvironment(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL);
  private final OrtSession session;

  OperatorSession(byte[] model) throws OrtException {
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      options.setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL);
      options.setIntraOpNumThreads(2);
      options.registerCustomOpLibrary(OperatorLibrary.load().file().toString());
      session = environment.createSession(model, options);
    }
  }

  /** A value of an input; the data is float[], long[], byte[] of uint8, or short[] with the bits of float16. */
  record Value(Object data, long... shape) {}

  static Value floats(float[] data, long... shape) {
    return new Value(data, shape);
  }

  static Value zeros(long... shape) {
    int elements = 1;
    for (long axis : shape) {
      elements = (int) (elements * axis);
    }
    return new Value(new float[elements], shape);
  }

  static Value integers(long[] data, long... shape) {
    return new Value(data, shape);
  }

  /** Each output as float[] (float16 widened) or long[], row-major. */
  Map<String, Value> run(Map<String, Value> inputs) throws OrtException {
    Map<String, OnnxTensor> tensors = new HashMap<>();
    try {
      for (Map.Entry<String, Value> input : inputs.entrySet()) {
        tensors.put(input.getKey(), tensor(input.getValue()));
      }
      Map<String, Value> out = new HashMap<>();
      try (OrtSession.Result result = session.run(tensors)) {
        result.forEach(output -> out.put(output.getKey(), value((OnnxTensor) output.getValue())));
      }
      return out;
    } finally {
      tensors.values().forEach(OnnxTensor::close);
    }
  }

  private OnnxTensor tensor(Value value) throws OrtException {
    if (value.data() instanceof byte[] bytes) {
      return OnnxTensor.createTensor(environment, ByteBuffer.wrap(bytes), value.shape(), OnnxJavaType.UINT8);
    }
    if (value.data() instanceof short[] halves) {
      return OnnxTensor.createTensor(environment, ShortBuffer.wrap(halves), value.shape(), OnnxJavaType.FLOAT16);
    }
    return value.data() instanceof float[] floats
        ? OnnxTensor.createTensor(environment, FloatBuffer.wrap(floats), value.shape())
        : OnnxTensor.createTensor(environment, LongBuffer.wrap((long[]) value.data()), value.shape());
  }

  private static Value value(OnnxTensor tensor) {
    FloatBuffer floats = tensor.getFloatBuffer();
    if (floats != null) {
      float[] data = new float[floats.remaining()];
      floats.get(data);
      return new Value(data, tensor.getInfo().getShape());
    }
    LongBuffer integers = tensor.getLongBuffer();
    long[] data = new long[integers.remaining()];
    integers.get(data);
    return new Value(data, tensor.getInfo().getShape());
  }

  @Override
  public void close() throws OrtException {
    session.close();
  }
}
