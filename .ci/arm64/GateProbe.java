import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtSession;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;
import java.util.Map;

/** Runs one golden case; dies where the ONNX Runtime on the class path uses instructions that the processor lacks. */
final class GateProbe {
  public static void main(String[] arguments) throws Exception {
    OrtEnvironment environment = OrtEnvironment.getEnvironment();
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      options.registerCustomOpLibrary(arguments[0]);
      options.setIntraOpNumThreads(1);
      try (OrtSession session = environment.createSession(arguments[1], options);
          OnnxTensor scores = OnnxTensor.createTensor(environment, FloatBuffer.wrap(new float[34]), new long[] {2, 17});
          OnnxTensor count = OnnxTensor.createTensor(environment, LongBuffer.wrap(new long[] {4}), new long[] {});
          OrtSession.Result result = session.run(Map.of("scores", scores, "count", count))) {
        System.out.println("alive " + environment.getVersion() + " " + result.size());
      }
    }
  }
}
