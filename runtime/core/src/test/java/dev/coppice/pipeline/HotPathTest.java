package dev.coppice.pipeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.coppice.Coppice;
import dev.coppice.api.Classifier;
import dev.coppice.api.Keep;
import dev.coppice.api.OpenOptions;
import dev.coppice.api.RunOptions;
import dev.coppice.api.Trust;
import dev.coppice.bundle.Bundle;
import dev.coppice.bundle.ShippedBundle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Tensor in, logits out: whatever buffers the caller has, the author's golden logits come back. */
final class HotPathTest {

  private static final int PIXELS = 3 * 160 * 160;

  private static Classifier classifier;

  @BeforeAll
  static void open() {
    classifier = Coppice.open(ShippedBundle.FOLDER, OpenOptions.defaults().withThreads(1));
  }

  @AfterAll
  static void close() {
    classifier.close();
  }

  static List<FloatBuffer> buffers() {
    FloatBuffer direct = ByteBuffer.allocateDirect((PIXELS + 7) * Float.BYTES).order(ByteOrder.nativeOrder()).asFloatBuffer();
    FloatBuffer swapped = ByteBuffer.allocateDirect(PIXELS * Float.BYTES).order(ByteOrder.BIG_ENDIAN).asFloatBuffer();
    return List.of(direct, direct.duplicate().position(7), swapped, FloatBuffer.allocate(PIXELS + 3).position(3));
  }

  @ParameterizedTest
  @MethodSource("buffers")
  void shouldComputeTheGoldenLogitsFromAnyBuffer(FloatBuffer tensor) {
    FloatBuffer logits = ByteBuffer.allocateDirect(40).order(ByteOrder.nativeOrder()).asFloatBuffer();
    assertGolden(tensor, logits);
  }

  @ParameterizedTest
  @MethodSource("buffers")
  void shouldWriteTheGoldenLogitsToAnyBuffer(FloatBuffer logits) {
    assertGolden(FloatBuffer.allocate(PIXELS), logits);
  }

  /** Two pictures, so that a buffer which was forgotten or remembered wrongly shows. */
  private static void assertGolden(FloatBuffer tensor, FloatBuffer logits) {
    int from = tensor.position();
    int to = logits.position();
    for (Bundle.Golden golden : Bundle.read(ShippedBundle.FOLDER, Trust.off()).golden()) {
      tensor.put(from, golden.image());
      classifier.infer(tensor, RunOptions.defaults().withKeep(Keep.counts(golden.keep().get(0), golden.keep().get(1))), logits);
      for (int i = 0; i < golden.logits().length; i++) {
        assertThat(Math.abs(logits.get(to + i) - golden.logits()[i])).isLessThanOrEqualTo((float) golden.tolerance());
      }
    }
    assertThat(List.of(tensor.position(), logits.position())).containsExactly(from, to);
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void shouldReadABufferAgainThatMoved(boolean direct) {
    FloatBuffer tensor = direct ? ByteBuffer.allocateDirect(8 * PIXELS).order(ByteOrder.nativeOrder()).asFloatBuffer() : FloatBuffer.allocate(2 * PIXELS);
    Bundle.Golden golden = Bundle.read(ShippedBundle.FOLDER, Trust.off()).golden().get(0);
    RunOptions options = RunOptions.defaults().withKeep(Keep.counts(golden.keep().get(0), golden.keep().get(1)));
    FloatBuffer logits = FloatBuffer.allocate(10);
    tensor.put(PIXELS, golden.image());
    classifier.infer(tensor, options, logits);
    assertThat(logits.get(0)).isNotEqualTo(golden.logits()[0]);
    classifier.infer(tensor.position(PIXELS), options, logits);
    assertThat(Math.abs(logits.get(0) - golden.logits()[0])).isLessThanOrEqualTo((float) golden.tolerance());
  }

  @Test
  void shouldRefuseBuffersThatAreTooSmallOrCannotBeWritten() {
    FloatBuffer tensor = FloatBuffer.allocate(PIXELS);
    assertThatThrownBy(() -> classifier.infer(FloatBuffer.allocate(PIXELS - 1), RunOptions.defaults(), FloatBuffer.allocate(10)))
        .isInstanceOf(IllegalArgumentException.class).hasMessage("tensor must have room for 76800 floats, found 76799.");
    assertThatThrownBy(() -> classifier.infer(tensor, RunOptions.defaults(), FloatBuffer.allocate(10).position(1)))
        .isInstanceOf(IllegalArgumentException.class).hasMessage("logits must have room for 10 floats, found 9.");
    assertThatThrownBy(() -> classifier.infer(tensor, RunOptions.defaults(), FloatBuffer.allocate(10).asReadOnlyBuffer()))
        .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("read-only");
  }

  @Test
  void shouldRefuseToInferOnceClosed() {
    Classifier closed = Coppice.open(ShippedBundle.FOLDER);
    closed.close();
    assertThatThrownBy(() -> closed.infer(FloatBuffer.allocate(PIXELS), RunOptions.defaults(), FloatBuffer.allocate(10)))
        .isInstanceOf(IllegalStateException.class).hasMessageContaining("is closed");
  }
}
