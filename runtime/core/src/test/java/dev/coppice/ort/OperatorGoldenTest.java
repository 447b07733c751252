package dev.coppice.ort;

import static org.assertj.core.api.Assertions.assertThat;

import ai.onnxruntime.OrtException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.IntToDoubleFunction;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The operators through ONNX Runtime's Java interface, against cases that C++ and Python read as well. */
final class OperatorGoldenTest {

  private static final Path ROOT = Path.of(System.getProperty("coppice.golden"));

  static List<GoldenCase> cases() {
    return GoldenCase.all(ROOT);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("cases")
  void shouldComputeWhatTheReferenceComputes(GoldenCase golden) throws OrtException, IOException {
    try (OperatorSession session = new OperatorSession(golden.model())) {
      Map<String, OperatorSession.Value> found = session.run(golden.inputs());
      assertThat(golden.outputs().keySet().stream().flatMap(name -> golden.difference(name, found.get(name)).stream())).isEmpty();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"AttentionBlock", "EncoderBlock", "HallucinatedAttention", "ImageToTensor", "LinearAttention", "MergeTokens", "MlpBlock",
      "PatchMerger", "PruneMergeTokens", "SampleTokens", "ThresholdTokens", "TokenAttention", "TokenScores", "TopKTokens"})
  void shouldFindCasesOfEveryOperator(String operator) throws IOException {
    try (Stream<Path> folders = Files.list(ROOT.resolve(operator))) {
      assertThat(folders.filter(f -> Files.exists(f.resolve("model.onnx"))).count()).isGreaterThanOrEqualTo(6);
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("cases")
  void shouldAcceptTheReferenceItself(GoldenCase golden) {
    assertThat(golden.outputs().keySet().stream().flatMap(name -> golden.difference(name, golden.outputs().get(name)).stream())).isEmpty();
  }

  @Test
  void shouldCatchZeros() {
    assertThat(differenceOf(i -> 0)).isPresent();
  }

  @Test
  void shouldCatchNaN() {
    assertThat(differenceOf(i -> i == 7 ? Double.NaN : 1)).isPresent();
  }

  @Test
  void shouldCatchOneSlightlyWrongValue() {
    // Twice the tolerance of 1e-4 and far above the spacing of floats near 1, 1.2e-7.
    assertThat(differenceOf(i -> i == 7 ? 1.0002 : 1)).isPresent();
    assertThat(differenceOf(i -> i == 7 ? 1.00005 : 1)).isEmpty();
  }

  @Test
  void shouldCatchAnotherShape() {
    GoldenCase ones = onesWithin1e4();
    assertThat(ones.difference("y", OperatorSession.floats(new float[8], 8, 1))).get().asString().contains("expected shape [1, 8], found [8, 1]");
  }

  private static Optional<String> differenceOf(IntToDoubleFunction value) {
    float[] found = new float[8];
    for (int i = 0; i < found.length; i++) {
      found[i] = (float) value.applyAsDouble(i);
    }
    return onesWithin1e4().difference("y", OperatorSession.floats(found, 1, 8));
  }

  private static GoldenCase onesWithin1e4() {
    return new GoldenCase(Path.of("ones/plain"), 1e-4, Map.of(), Map.of("y", OperatorSession.floats(new float[] {1, 1, 1, 1, 1, 1, 1, 1}, 1, 8)));
  }
}
