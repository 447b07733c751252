package dev.coppice.bench;

import ai.onnxruntime.NodeInfo;
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
import java.util.Optional;
import java.util.Set;

/** A bundle's model as a careful program runs it with ONNX Runtime alone: one thread, direct buffers, pinned outputs. */
final class Bare implements AutoCloseable {

  private final OrtSession session;
  // Of a session of its own, open as long: closing them unloads the operators where nothing else has loaded them.
  private final Optional<OrtSession.SessionOptions> own;
  private final Map<String, OnnxTensor> inputs = new HashMap<>();
  private final Map<String, OnnxValue> outputs = new HashMap<>();

  /** keep: patch tokens after each stage; the prefix is one class token. */
  static Bare open(String model, String operators, List<Integer> keep) throws OrtException {
    OrtSession.SessionOptions options = new OrtSession.SessionOptions();
    options.setIntraOpNumThreads(1);
    options.registerCustomOpLibrary(operators);
    OrtSession session = OrtEnvironment.getEnvironment().createSession(model, options);
    long[] image = shape(session.getInputInfo().get("image"));
    return new Bare(session, keep, floats(image[1] * image[2] * image[3]), floats(shape(session.getOutputInfo().get("logits"))[1]), Optional.of(options));
  }

  /** On a session and buffers that another owns. */
  static Bare on(OrtSession session, List<Integer> keep, FloatBuffer tensor, FloatBuffer logits) throws OrtException {
    return new Bare(session, keep, tensor, logits, Optional.empty());
  }

  private Bare(OrtSession session, List<Integer> keep, FloatBuffer tensor, FloatBuffer logits, Optional<OrtSession.SessionOptions> own) throws OrtException {
    this.session = session;
    this.own = own;
    OrtEnvironment environment = OrtEnvironment.getEnvironment();
    long[] image = shape(session.getInputInfo().get("image"));
    image[0] = 1;
    inputs.put("image", OnnxTensor.createTensor(environment, tensor, image));
    outputs.put("logits", OnnxTensor.createTensor(environment, logits, new long[] {1, logits.capacity()}));
    LongBuffer counts = longs(keep.size());
    for (int stage = 0; stage < keep.size(); stage++) {
      counts.put(stage, keep.get(stage));
      long left = keep.get(stage) + 1;
      outputs.put("kept_" + stage, OnnxTensor.createTensor(environment, longs(left), new long[] {1, left}));
    }
    inputs.put("keep", OnnxTensor.createTensor(environment, counts, new long[] {keep.size()}));
  }

  private static long[] shape(NodeInfo port) {
    return ((TensorInfo) port.getInfo()).getShape();
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
    if (own.isPresent()) {
      session.close();
      own.get().close();
    }
  }
}
