package dev.coppice.ort;

import static org.assertj.core.api.Assertions.assertThat;

import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtSession;
import dev.coppice.bundle.Protobuf;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Why a bundle's model may not have external data: no hash of the bundle covers what ONNX Runtime would read. */
final class ExternalDataTest {

  @Test
  void shouldBeReadFromTheWorkingDirectoryByOnnxRuntime() throws Exception {
    Path data = Files.createTempFile(Path.of(""), "external", ".bin");
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      Files.write(data, ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putFloat(42).array());
      options.setOptimizationLevel(OrtSession.SessionOptions.OptLevel.NO_OPT);
      try (OrtSession session = OrtEnvironment.getEnvironment().createSession(model(data.toString()), options); OrtSession.Result result = session.run(Map.of())) {
        assertThat((float[]) result.get(0).getValue()).containsExactly(42);
      }
    } finally {
      Files.delete(data);
    }
  }

  /** One constant, which lies elsewhere, and one output. */
  private static byte[] model(String location) {
    Protobuf constant = new Protobuf().with(8, "w").with(2, 1).with(1, 1).with(13, new Protobuf().with(1, "location").with(2, location)).with(14, 1);
    Protobuf node = new Protobuf().with(1, "w").with(2, "v").with(4, "Identity");
    Protobuf graph = new Protobuf().with(1, node).with(2, "constant").with(5, constant).with(12, new Protobuf().with(1, "v"));
    return new Protobuf().with(1, 10).with(7, graph).with(8, new Protobuf().with(1, "").with(2, 20)).bytes();
  }
}
