package dev.coppice.bench;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxValue;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.TensorInfo;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** A bundle's model as a careful program runs it with ONNX Runtime alone: one thread, direct buffers, pinned outputs. */
final class Bare implements AutoCloseable {

  // Open as long as the session: closing them unloads the operators where nothing else has loaded them.
  private final OrtSession.SessionOptions options = new OrtSession.SessionOptions();
  private final OrtSession session;
  private final Map<String, OnnxTensor> inputs = new HashMap<>();
  private final Map<String, OnnxValue> outputs = new HashMap<>();

  /** keep: patch tokens after each stage; the prefix is one class token. */
  Bare(String model, String operators, List<Integer> keep) throws OrtException {
    OrtEnvironment environment = OrtEnvironment.getEnvironment();
    options.setIntraOpNumThreads(1);
    options.registerCustomOpLibrary(operators);
    session = environment.createSession(model, options);
    long[] image = ((TensorInfo) session.getInputInfo().get("image").getInfo()).getShape();
    image[0] = 1;
    inputs.put("image", OnnxTensor.createTensor(environment, floats(image[1] * image[2] * image[3]), image));
    long[] logits = ((TensorInfo) session.getOutputInfo().get("logits").getInfo()).getShape();
    outputs.put("logits", OnnxTensor.createTensor(environment, floats(logits[1]), new long[] {1, logits[1]}));
    LongBuffer counts = longs(keep.size());
    for (int stage = 0; stage < keep.size(); stage++) {
      counts.put(stage, keep.get(stage));
      long left = keep.get(stage) + 1;
      outputs.put("kept_" + stage, OnnxTensor.createTensor(environment, longs(left), new long[] {1, left}));
    }
    inputs.put("keep", OnnxTensor.createTensor(environment, counts, new long[] {keep.size()}));
  }

  void run() throws OrtException {
    session.run(inputs, Set.of(), outputs).close();
  }

  static FloatBuffer floats(long elements) {
    return ByteBuffer.allocateDirect((int) elements * Float.BYTES).order(ByteOrder.nativeOrder()).asFloatBuffer();
  }

  private static LongBuffer longs(long elements) {
    return ByteBuffer.allocateDirect((int) elements * Long.BYTES).order(ByteOrder.nativeOrder()).asLongBuffer();
  }

  @Override
  public void close() throws OrtException {
    inputs.values().forEach(OnnxTensor::close);
    outputs.values().forEach(OnnxValue::close);
    session.close();
    options.close();
  }
}
