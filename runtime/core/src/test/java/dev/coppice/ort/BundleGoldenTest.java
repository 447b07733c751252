package dev.coppice.ort;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.coppice.api.BundleException;
import dev.coppice.api.Trust;
import dev.coppice.bundle.Bundle;
import dev.coppice.bundle.ShippedBundle;
import dev.coppice.ops.OperatorLibrary;
import dev.coppice.tensor.Graph;
import java.net.URISyntaxException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The engine on the shipped model, against the logits that PyTorch computed when it was exported. */
final class BundleGoldenTest {

  private static Bundle bundle;
  private static OrtEngine engine;

  @BeforeAll
  static void open() {
    bundle = Bundle.read(ShippedBundle.FOLDER, Trust.off());
    engine = open(bundle, bundle.graph());
  }

  @AfterAll
  static void close() {
    engine.close();
  }

  static List<Bundle.Golden> golden() {
    return bundle.golden();
  }

  @ParameterizedTest
  @MethodSource("dev.coppice.bundle.ShippedBundle#all")
  void shouldComputeTheGoldenLogitsOfEveryShippedBundle(Path folder) {
    Bundle shipped = Bundle.read(folder, Trust.off());
    try (OrtEngine fresh = open(shipped, shipped.graph())) {
      assertThat(shipped.golden()).hasSize(2).allSatisfy(golden -> assertThat(logits(fresh, golden, golden.keep()))
          .containsExactly(golden.logits(), within((float) golden.tolerance())));
    }
  }

  /** Written by export/tools/make_block_fixture.py: softmax, linear and hallucinated attention, top-k and merging. */
  @Test
  void shouldComputeTheGoldenLogitsOfInt8Blocks() throws URISyntaxException {
    Bundle blocks = Bundle.read(Path.of(BundleGoldenTest.class.getResource("/blocks").toURI()), Trust.off());
    assertThat(blocks.info().operators()).contains("AttentionBlock", "MlpBlock");
    assertThat(blocks.info().precision()).isEqualTo("int8-dynamic");
    try (OrtEngine fresh = open(blocks, blocks.graph())) {
      assertThat(blocks.golden()).hasSize(2).allSatisfy(golden -> assertThat(logits(fresh, golden, golden.keep()))
          .containsExactly(golden.logits(), within((float) golden.tolerance())));
    }
  }

  @Test
  void shouldHaveGoldenCasesOfTheMostAndTheFewestTokens() {
    assertThat(golden()).extracting(Bundle.Golden::keep).containsExactly(List.of(100, 100), List.of(30, 9));
  }

  @Test
  void shouldCatchLogitsOfAnotherBudget() {
    Bundle.Golden golden = golden().get(1);
    assertThat(Math.abs(logits(golden, List.of(30, 10))[0] - golden.logits()[0])).isGreaterThan((float) golden.tolerance());
  }

  @Test
  void shouldComputeTheSameAgainAfterMoreBudgetsThanItRemembers() {
    Bundle.Golden golden = golden().get(1);
    try (OrtEngine fresh = open(bundle, bundle.graph())) {
      float[] before = logits(fresh, golden, golden.keep());
      for (int count = 1; count <= 16; count++) {
        logits(fresh, golden, List.of(count, 1));
      }
      assertThat(logits(fresh, golden, golden.keep())).isEqualTo(before);
    }
  }

  @Test
  void shouldRefuseAModelThatIsNone() {
    assertThatThrownBy(() -> open(bundle, zeros())).isInstanceOf(BundleException.class)
        .hasMessageStartingWith("Bundle \"imagenette-mini\": ONNX Runtime refuses the model (").hasMessageEndingWith("); export it again.")
        .extracting("code").isEqualTo("bundle.model");
  }

  private static Graph zeros() {
    return new Graph() {
      @Override
      public String sha256() {
        return "";
      }

      @Override
      public int bytes() {
        return 100;
      }

      @Override
      public void read(ByteBuffer into) {
        into.put(new byte[bytes()]);
      }
    };
  }

  private static OrtEngine open(Bundle shipped, Graph model) {
    OrtEngine.version();
    SessionSettings settings = new SessionSettings(2, false, "", Map.of("session.intra_op_thread_affinities", "2"));
    return new OrtEngine(model, shipped.model(), shipped.info().preprocessing(), OperatorLibrary.load(), settings, Optional.empty());
  }

  private static float[] logits(Bundle.Golden golden, List<Integer> keep) {
    return logits(engine, golden, keep);
  }

  private static float[] logits(OrtEngine engine, Bundle.Golden golden, List<Integer> keep) {
    engine.image().data().put(0, golden.image());
    float[] logits = new float[golden.logits().length];
    engine.run(keep).logits().data().get(0, logits);
    return logits;
  }
}
