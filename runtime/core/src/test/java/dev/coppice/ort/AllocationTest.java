package dev.coppice.ort;

import static org.assertj.core.api.Assertions.assertThat;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxValue;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import dev.coppice.Coppice;
import dev.coppice.api.Classifier;
import dev.coppice.api.Keep;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.RunOptions;
import dev.coppice.api.Trust;
import dev.coppice.bundle.Bundle;
import dev.coppice.bundle.ShippedBundle;
import dev.coppice.ops.OperatorLibrary;
import dev.coppice.schedule.Allocation;
import dev.coppice.tensor.FloatTensor;
import dev.coppice.tensor.LongTensor;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** What a run allocates on the Java heap beside what ONNX Runtime's own classes do. */
@Tag("build-machine") // allocation is the compiler's doing, not the processor's
final class AllocationTest {

  private static final int RUNS = 1000;
  private static final List<Integer> KEEP = List.of(30, 9);

  private interface Run {
    void once() throws OrtException;
  }

  @Test
  void shouldAllocateNoByteMoreThanABareSession() throws Exception {
    Bundle bundle = Bundle.read(ShippedBundle.FOLDER, Trust.off());
    OperatorLibrary library = OperatorLibrary.load();
    FloatTensor image = FloatTensor.zeros(bundle.model().imageShape());
    FloatTensor logits = FloatTensor.zeros(1, bundle.model().classes());
    LongTensor first = LongTensor.row(31);
    LongTensor second = LongTensor.row(10);
    LongTensor counts = LongTensor.vector(KEEP);
    RunOptions options = RunOptions.defaults().withKeep(Keep.counts(30, 9));
    OrtEnvironment environment = OrtEnvironment.getEnvironment();
    try (OrtSession.SessionOptions one = new OrtSession.SessionOptions(); OrtSession.RunOptions runOptions = new OrtSession.RunOptions();
        Classifier classifier = Coppice.open(ShippedBundle.FOLDER, OpenOptions.defaults().withThreads(1))) {
      one.setIntraOpNumThreads(1);
      one.registerCustomOpLibrary(library.file().toString());
      try (OrtSession session = environment.createSession(ShippedBundle.FOLDER.resolve("model.onnx").toString(), one);
          OnnxTensor imageValue = OnnxTensor.createTensor(environment, image.data(), image.shape());
          OnnxTensor logitsValue = OnnxTensor.createTensor(environment, logits.data(), logits.shape());
          OnnxTensor countsValue = OnnxTensor.createTensor(environment, counts.data(), counts.shape());
          OnnxTensor firstValue = OnnxTensor.createTensor(environment, first.data(), first.shape());
          OnnxTensor secondValue = OnnxTensor.createTensor(environment, second.data(), second.shape())) {
        Map<String, OnnxTensor> inputs = new HashMap<>(Map.of("image", imageValue, "keep", countsValue)); // their iterators differ in bytes
        Map<String, OnnxValue> outputs = new HashMap<>(Map.of("logits", logitsValue, "kept_0", firstValue, "kept_1", secondValue));
        double bare = bytes(() -> session.run(inputs, Set.of(), outputs, runOptions).close());
        double ours = bytes(() -> classifier.infer(image.data(), options, logits.data()));
        assertThat(bare).isPositive();
        assertThat(ours).isLessThan(bare + 1); // counting allocates a little itself, once in all runs
      }
    }
  }

  /** Bytes a run, once it is warm. */
  private static double bytes(Run run) throws Exception {
    for (int i = 0; i < RUNS; i++) {
      run.once();
    }
    long before = Allocation.bytes();
    for (int i = 0; i < RUNS; i++) {
      run.once();
    }
    return (Allocation.bytes() - before) / (double) RUNS;
  }
}
