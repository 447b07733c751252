package dev.coppice.ort;

import static dev.coppice.ort.OneNode.FLOAT;
import static dev.coppice.ort.OneNode.INT64;
import static dev.coppice.ort.OperatorSession.integers;
import static dev.coppice.ort.OperatorSession.zeros;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import ai.onnxruntime.OrtException;
import dev.coppice.ort.OperatorSession.Value;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** What does not fit is refused by a status that names the operator, what it expects and what it found. */
final class OperatorRefusalTest {

  private static OneNode linear() {
    return new OneNode("LinearAttention").input("qkv", FLOAT).output("y", FLOAT);
  }

  private static OneNode scores() {
    return new OneNode("TokenScores").input("qkv", FLOAT).output("scores", FLOAT);
  }

  private static OneNode attention() {
    return new OneNode("TokenAttention").input("qkv", FLOAT).output("y", FLOAT);
  }

  private static OneNode topK() {
    return new OneNode("TopKTokens").input("scores", FLOAT).input("count", INT64);
  }

  static Stream<Arguments> wrongAttributes() {
    return Stream.of(
        arguments(linear(), "LinearAttention", "num_heads"),
        arguments(linear().attribute("num_heads", 0), "LinearAttention", "attribute num_heads must be 1..4096, found 0"),
        arguments(linear().attribute("num_heads", "two"), "LinearAttention", "attribute num_heads must be an integer"),
        arguments(linear().attribute("num_heads", 2).attribute("feature_map", "gelu"), "LinearAttention",
            "attribute feature_map must be one of elu1, relu, relu_pow3, found gelu"),
        arguments(linear().attribute("num_heads", 2).attribute("order", "fast"), "LinearAttention",
            "attribute order must be one of auto, linear, quadratic, found fast"),
        arguments(linear().attribute("num_heads", 2).attribute("eps", -1f), "LinearAttention",
            "attribute eps must be finite and not negative, found -1"),
        arguments(linear().attribute("num_heads", 2).attribute("length", -5), "LinearAttention", "attribute length must be 0.."),
        arguments(scores().attribute("num_heads", 2).attribute("source", "mean"), "TokenScores",
            "attribute source must be one of cls_row, cls_col, found mean"),
        arguments(scores().attribute("num_heads", 2).attribute("prefix_tokens", -1), "TokenScores", "attribute prefix_tokens must be 0.."),
        arguments(attention().attribute("num_heads", 2).attribute("scale", Float.NaN), "TokenAttention", "attribute scale must be finite"),
        arguments(attention().attribute("num_heads", 2).output("scores", FLOAT), "TokenAttention",
            "output scores needs attribute score=cls, cls_value_norm or received, found none"),
        arguments(topK().output("index", INT64).attribute("fuse_pruned", 2), "TopKTokens", "attribute fuse_pruned must be 0..1, found 2"));
  }

  @ParameterizedTest(name = "{1}: {2}")
  @MethodSource("wrongAttributes")
  void shouldRefuseAWrongAttributeWhenTheSessionOpens(OneNode node, String operator, String sentence) {
    assertThatThrownBy(() -> new OperatorSession(node.model()).close()).isInstanceOf(OrtException.class)
        .hasMessageContaining(operator).hasMessageContaining(sentence);
  }

  static Stream<Arguments> wrongInputs() {
    OneNode linear = linear().attribute("num_heads", 2);
    OneNode positioned = linear().input("query_index", INT64).input("positions", INT64).attribute("num_heads", 2)
        .attribute("reweight", "cos1d").attribute("length", 9);
    OneNode top = topK().output("index", INT64);
    OneNode topX = topK().input("x", FLOAT).output("index", INT64).output("y", FLOAT);
    Value qkv = zeros(1, 5, 12);
    Value query = integers(new long[] {0, 4}, 1, 2);
    Value positions = integers(new long[] {0, 1, 2, 3, 4}, 1, 5);
    return Stream.of(
        arguments(linear, "LinearAttention", Map.of("qkv", zeros(5, 12)), "input qkv must have shape [B,N,3D], found [5,12]"),
        arguments(linear, "LinearAttention", Map.of("qkv", zeros(1, 5, 10)), "D a multiple of num_heads=2, found [1,5,10]; export with"),
        arguments(linear, "LinearAttention", Map.of("qkv", zeros(1, 5, 9)), "D a multiple of num_heads=2, found [1,5,9]; export with"),
        arguments(linear, "LinearAttention", Map.of("qkv", zeros(1, 0, 12)), "at least one token, found shape [1,0,12]"),
        arguments(positioned, "LinearAttention", Map.of("qkv", qkv, "query_index", integers(new long[] {5}, 1, 1), "positions", positions),
            "input query_index must name tokens 0..4, found 5"),
        arguments(positioned, "LinearAttention", Map.of("qkv", qkv, "query_index", integers(new long[] {-1}, 1, 1), "positions", positions),
            "input query_index must name tokens 0..4, found -1"),
        arguments(positioned, "LinearAttention", Map.of("qkv", qkv, "query_index", integers(new long[2], 2, 1), "positions", positions),
            "input query_index must have shape [1,M] to match qkv [1,5,12], found [2,1]"),
        arguments(positioned, "LinearAttention", Map.of("qkv", qkv, "query_index", query, "positions", integers(new long[4], 1, 4)),
            "input positions must have shape [1,5] to match qkv, found [1,4]"),
        arguments(positioned, "LinearAttention", Map.of("qkv", qkv, "query_index", query, "positions", integers(new long[] {0, 1, 2, 3, 9}, 1, 5)),
            "input positions must be 0..8 (attribute length), found 9"),
        arguments(scores().input("size", FLOAT).attribute("num_heads", 2), "TokenScores", Map.of("qkv", qkv, "size", zeros(1, 4)),
            "input size must have shape [1,5] to match qkv, found [1,4]"),
        arguments(attention().attribute("num_heads", 3), "TokenAttention", Map.of("qkv", zeros(1, 5, 12)), "num_heads=3, found [1,5,12]; export with"),
        arguments(top, "TopKTokens", Map.of("scores", zeros(5), "count", integers(new long[] {1})), "input scores must have shape [B,N], found [5]"),
        arguments(top, "TopKTokens", Map.of("scores", zeros(1, 5), "count", integers(new long[] {5})),
            "count must be 0..4 (tokens 5 less prefix_tokens 1), found 5"),
        arguments(top, "TopKTokens", Map.of("scores", zeros(1, 5), "count", integers(new long[] {-1})), "count must be 0..4 (tokens 5 less prefix_tokens 1), found -1"),
        arguments(top, "TopKTokens", Map.of("scores", zeros(1, 5), "count", integers(new long[] {1, 2}, 2)),
            "input count must be a scalar or have shape [1], found [2]"),
        arguments(topX, "TopKTokens", Map.of("scores", zeros(1, 5), "count", integers(new long[] {1}), "x", zeros(1, 4, 3)),
            "input x must have shape [1,5,D] to match scores, found [1,4,3]"));
  }

  @ParameterizedTest(name = "{1}: {3}")
  @MethodSource("wrongInputs")
  void shouldRefuseAWrongInputWithBothShapesOrRanges(OneNode node, String operator, Map<String, Value> inputs, String sentence) throws OrtException {
    try (OperatorSession session = new OperatorSession(node.model())) {
      assertThatThrownBy(() -> session.run(inputs)).isInstanceOf(OrtException.class).hasMessageContaining(operator + ": ").hasMessageContaining(sentence)
          .extracting(e -> ((OrtException) e).getCode()).isEqualTo(OrtException.OrtErrorCode.ORT_INVALID_ARGUMENT);
    }
  }

  @Test
  void shouldRunRightAfterARefusal() throws OrtException {
    try (OperatorSession session = new OperatorSession(topK().output("index", INT64).model())) {
      Value scores = OperatorSession.floats(new float[] {9, 1, 4, 2, 3}, 1, 5);
      assertThatThrownBy(() -> session.run(Map.of("scores", scores, "count", integers(new long[] {7})))).isInstanceOf(OrtException.class);
      assertThat(session.run(Map.of("scores", scores, "count", integers(new long[] {2}))).get("index").data()).isEqualTo(new long[] {0, 2, 4});
    }
  }

  @Test
  void shouldRefuseAnOperatorThatTheLibraryLacks() {
    OneNode unknown = new OneNode("TokenMerge").input("x", FLOAT).output("y", FLOAT);
    assertThatThrownBy(() -> new OperatorSession(unknown.model()).close()).isInstanceOf(OrtException.class).hasMessageContaining("TokenMerge");
  }
}
