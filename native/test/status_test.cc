// Every refusal of the adapters: its code, and a sentence with what was expected and what was found.
#include <gtest/gtest.h>

#include "calls.h"

namespace coppice::test {
namespace {

struct Refused {
  std::string name;
  Node node;
  std::string message;
  OrtErrorCode code = ORT_INVALID_ARGUMENT;

  friend void PrintTo(const Refused& refused, std::ostream* out) { *out << refused.name; }
};

// ONNX Runtime gives every failure to make a kernel this code, whatever the kernel said.
constexpr OrtErrorCode kAtCreation = ORT_RUNTIME_EXCEPTION;

const Attribute kTwoHeads{"num_heads", int64_t{2}};

Node attention(const std::string& op, std::vector<Argument> inputs, std::vector<Attribute> more = {}) {
  more.push_back(kTwoHeads);
  return {op, more, std::move(inputs), {{"y"}}};
}

Node top_k(std::vector<Argument> inputs, std::vector<Result> outputs = {{"index", kInt64}}, std::vector<Attribute> attributes = {}) {
  return {"TopKTokens", std::move(attributes), std::move(inputs), std::move(outputs)};
}

Node prune_merge(std::vector<Argument> inputs, std::vector<Attribute> attributes = {}) {
  return {"PruneMergeTokens", std::move(attributes), std::move(inputs), {{"index", kInt64}, {"y"}, {"merged_size"}}};
}

const Argument kLeftOut{};

// A good block with one input replaced or added.
Node block(const std::string& op, const Argument& changed, std::vector<Attribute> attributes = {}, std::vector<Result> outputs = {{"y"}}) {
  const bool mlp = op == "MlpBlock";
  const BlockProblem p = random_block(1, 5, 8, mlp ? 12 : 24, mlp ? 12 : 8, WeightType::kInt8, WeightType::kFloat, 1);
  Node node{op, std::move(attributes), mlp ? block_inputs(p, "fc1", "fc2") : block_inputs(p, "qkv", "proj"), std::move(outputs)};
  if (!mlp && (node.attributes.empty() || node.attributes[0].name != "num_heads")) node.attributes.push_back(kTwoHeads);
  const std::vector<std::string> names = mlp ? std::vector<std::string>{"x", "norm_weight", "norm_bias", "fc1", "fc1_bias", "fc1_scale", "fc2", "fc2_bias", "fc2_scale", "fc2_u", "fc2_u_scale"}
                                             : std::vector<std::string>{"x", "norm_weight", "norm_bias", "qkv", "qkv_bias", "qkv_scale", "proj", "proj_bias", "proj_scale", "query_index", "positions", "size", "mix", "dw"};
  node.inputs.resize(names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == changed.name) node.inputs[i] = changed;
  }
  return node;
}

// A good encoder block with one input replaced or added.
Node encoder(const Argument& changed, std::vector<Attribute> attributes = {}, std::vector<Result> outputs = {{"y"}}) {
  const BlockProblem attention = random_block(1, 5, 8, 24, 8, WeightType::kInt8, WeightType::kFloat, 1), mlp = random_block(1, 5, 8, 12, 12, WeightType::kInt8, WeightType::kFloat, 2);
  attributes.push_back(kTwoHeads);
  Node node{"EncoderBlock", std::move(attributes), encoder_inputs(block_inputs(attention, "qkv", "proj"), block_inputs(mlp, "fc1", "fc2")), std::move(outputs)};
  const std::vector<std::pair<std::string, size_t>> optional{{"query_index", 9}, {"size", 11}, {"count", 24}, {"threshold", 25}};
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (!changed.name.empty() && node.inputs[i].name == changed.name) node.inputs[i] = changed;
  }
  for (const auto& [name, number] : optional) {
    if (name == changed.name) node.inputs[number] = changed;
  }
  return node;
}

// Int8 panels that hold a value where the format wants none.
Argument spoilt_panels(size_t at, char value) {
  Argument panels = block("MlpBlock", {}).inputs[3];
  panels.bytes[at] = value;
  return panels;
}
const std::vector<int64_t> kQkv{2, 5, 12};

std::vector<Refused> refused() {
  const auto text = [](const char* name, const char* value) { return Attribute{name, std::string(value)}; };
  const Argument qkv = tensor("qkv", kQkv), count = integers("count", {}, {2});
  return {
      {"rank", attention("TokenScores", {tensor("qkv", {5, 12})}), "TokenScores: input qkv must have shape [B,N,3D], found [5,12]."},
      {"width", attention("LinearAttention", {tensor("qkv", {2, 5, 9})}),
       "LinearAttention: input qkv must have shape [B,N,3D] with D a multiple of num_heads=2, found [2,5,9]; export with the model's own head count."},
      {"no_token", attention("TokenAttention", {tensor("qkv", {2, 0, 12})}),
       "TokenAttention: input qkv must have at least one token, found shape [2,0,12]."},
      {"size", attention("TokenAttention", {qkv, kLeftOut, tensor("size", {2, 4})}),
       "TokenAttention: input size must have shape [2,5] to match qkv, found [2,4]."},
      {"query_index", attention("TokenAttention", {qkv, integers("query_index", {1, 2}, {0, 1})}),
       "TokenAttention: input query_index must have shape [2,M] to match qkv [2,5,12], found [1,2]."},
      {"query_token", attention("LinearAttention", {qkv, integers("query_index", {2, 1}, {0, 5})}),
       "LinearAttention: input query_index must name tokens 0..4, found 5."},
      {"positions", attention("LinearAttention", {qkv, kLeftOut, integers("positions", {2, 4}, {0, 1, 2, 3, 0, 1, 2, 3})}),
       "LinearAttention: input positions must have shape [2,5] to match qkv, found [2,4]."},
      {"position", attention("LinearAttention", {tensor("qkv", {1, 2, 12}), kLeftOut, integers("positions", {1, 2}, {0, -1})},
                             {{"reweight", std::string("cos1d")}, {"length", int64_t{7}}}),
       "LinearAttention: input positions must be 0..6 (attribute length), found -1."},
      {"too_many_tokens", attention("LinearAttention", {qkv}, {{"reweight", std::string("cos1d")}, {"length", int64_t{4}}}),
       "LinearAttention: input qkv [2,5,12] has 5 tokens, expected at most 4 (attribute length); connect positions, or export with the right length."},
      {"grid", attention("LinearAttention", {qkv}, {{"reweight", std::string("cos2d")}}),
       "LinearAttention: attribute grid must be the patches along one edge (1..4096) for reweight=cos2d, found 0.", kAtCreation},
      {"heads", {"TokenScores", {{"num_heads", int64_t{0}}}, {qkv}, {{"scores"}}}, "TokenScores: attribute num_heads must be 1..4096, found 0.", kAtCreation},
      {"choice", attention("TokenScores", {qkv}, {{"source", std::string("row")}}),
       "TokenScores: attribute source must be one of cls_row, cls_col, found row.", kAtCreation},
      {"attribute_type", attention("TokenScores", {qkv}, {{"source", int64_t{1}}}), "TokenScores: attribute source must be a string.", kAtCreation},
      {"negative_eps", attention("LinearAttention", {qkv}, {{"eps", -1.0f}}),
       "LinearAttention: attribute eps must be finite and not negative, found -1.000000.", kAtCreation},
      {"count_shape", top_k({tensor("scores", {2, 5}), integers("count", {2}, {1, 1})}),
       "TopKTokens: input count must be a scalar or have shape [1], found [2]."},
      {"count", top_k({tensor("scores", {2, 5}), integers("count", {}, {5})}),
       "TopKTokens: count must be 0..4 (tokens 5 less prefix_tokens 1), found 5."},
      {"prefix", top_k({tensor("scores", {2, 5}), count}, {{"index", kInt64}}, {{"prefix_tokens", int64_t{6}}}),
       "TopKTokens: scores [2,5] has fewer tokens than prefix_tokens=6."},
      {"x", top_k({tensor("scores", {2, 5}), count, tensor("x", {2, 4, 3})}),
       "TopKTokens: input x must have shape [2,5,D] to match scores, found [2,4,3]."},
      {"y_without_x", top_k({tensor("scores", {2, 5}), count}, {{"index", kInt64}, {"y"}}),
       "TopKTokens: output y needs input x of shape [2,5,D]; connect it or leave y out."},
      {"kept_size_without_size", top_k({tensor("scores", {2, 5}), count}, {{"index", kInt64}, {""}, {"kept_size"}}),
       "TopKTokens: output kept_size needs input size of shape [2,5]; connect it or leave kept_size out."},
      {"prune_merge_count", prune_merge({tensor("scores", {2, 5}), integers("count", {}, {-1}), tensor("x", {2, 5, 3})}),
       "PruneMergeTokens: count must be 0..4 (tokens 5 less prefix_tokens 1), found -1."},
      {"prune_merge_x", prune_merge({tensor("scores", {2, 5}), count, tensor("x", {2, 4, 3})}),
       "PruneMergeTokens: input x must have shape [2,5,D] to match scores, found [2,4,3]."},
      {"prune_merge_width", prune_merge({tensor("scores", {2, 5}), count, tensor("x", {2, 5, 0})}),
       "PruneMergeTokens: input x must have at least one feature, found [2,5,0]."},
      {"prune_merge_size", prune_merge({tensor("scores", {2, 5}), count, tensor("x", {2, 5, 3}), tensor("size", {2, 4})}),
       "PruneMergeTokens: input size must have shape [2,5] to match scores, found [2,4]."},
      {"merge_share", prune_merge({tensor("scores", {2, 5}), count, tensor("x", {2, 5, 3})}, {{"merge_share", 1.5f}}),
       "PruneMergeTokens: attribute merge_share must be 0..1, found 1.500000.", kAtCreation},
      {"rank_rule", prune_merge({tensor("scores", {2, 5}), count, tensor("x", {2, 5, 3})}, {{"rank", std::string("distance")}}),
       "PruneMergeTokens: attribute rank must be one of importance, importance_distance, found distance.", kAtCreation},
      {"block_x", block("MlpBlock", tensor("x", {1, 5, 9})), "MlpBlock: input x must have shape [B,N,8] to match norm_weight, found [1,5,9]."},
      {"block_no_token", block("AttentionBlock", tensor("x", {1, 0, 8})), "AttentionBlock: input x must have at least one token, found shape [1,0,8]."},
      {"block_weight_computed", block("MlpBlock", tensor("fc2", {1, 12, 16})),
       "MlpBlock: input fc2 must be a constant of the model (an initializer), found a computed tensor.", kAtCreation},
      {"block_weight_shape", block("MlpBlock", constant(tensor("fc2", {1, 11, 16}))),
       "MlpBlock: input fc2 must have shape [1,12,16], panels of 12 inputs and 8 outputs, found [1,11,16].", kAtCreation},
      {"block_weight_type", block("MlpBlock", constant(integers("fc2", {1}, {1}))),
       "MlpBlock: input fc2 must be float32, float16 or int8, found ONNX element type 7.", kAtCreation},
      {"block_minus_128", block("MlpBlock", spoilt_panels(0, -128)), "MlpBlock: input fc1 must hold -127..127, found -128; pack it with the export.", kAtCreation},
      {"block_padding", block("MlpBlock", spoilt_panels(12 * 4 + 1, 3)),
       "MlpBlock: input fc1 must hold zeros where it has no input or output, found 3; pack it with the export.", kAtCreation},
      {"block_without_scale", block("MlpBlock", constant(Argument{"fc2", kInt8, {1, 3, 16, 4}, std::vector<char>(192)})),
       "MlpBlock: input fc2_scale is missing; int8 weights need one scale for each of 8 outputs.", kAtCreation},
      {"block_scale_of_floats", block("MlpBlock", constant(tensor("fc2_scale", {8}))), "MlpBlock: input fc2_scale needs int8 weights in fc2; leave it out.",
       kAtCreation},
      {"block_scales", block("MlpBlock", constant(tensor("fc1_scale", {11}))), "MlpBlock: input fc1_scale must have shape [12], found [11].", kAtCreation},
      {"block_norm", block("MlpBlock", constant(tensor("norm_bias", {9}))), "MlpBlock: input norm_bias must have shape [8], found [9].", kAtCreation},
      {"block_width", block("AttentionBlock", constant(tensor("proj_bias", {16}))),
       "AttentionBlock: input proj_bias must have shape [8] to match norm_weight, found [16].", kAtCreation},
      {"block_u_scale", block("MlpBlock", constant(tensor("fc2_u_scale", {3}))), "MlpBlock: input fc2_u_scale needs fc2_u; connect it or leave the scale out.",
       kAtCreation},
      {"block_range_of_floats", block("MlpBlock", {}, {{"fc2_range", std::vector<float>{-1, 1}}}),
       "MlpBlock: attribute fc2_range needs int8 weights in fc2; leave it out.", kAtCreation},
      {"block_range_without_0", block("MlpBlock", {}, {{"fc1_range", std::vector<float>{0.5f, 1}}}),
       "MlpBlock: attribute fc1_range must be the least and the greatest input, low <= 0 <= high, at least 3e-36 and at most 3.4e38 apart, found 0.500000 and "
       "1.000000; calibrate it with the export.", kAtCreation},
      {"block_range_turned", block("AttentionBlock", {}, {{"qkv_range", std::vector<float>{1, -1}}}), "AttentionBlock: attribute qkv_range must be ", kAtCreation},
      {"block_range_too_wide", block("MlpBlock", {}, {{"fc1_range", std::vector<float>{-3e38f, 3e38f}}}), "MlpBlock: attribute fc1_range must be ", kAtCreation},
      {"block_range_too_small", block("MlpBlock", {}, {{"fc1_range", std::vector<float>{0, 1e-36f}}}), "MlpBlock: attribute fc1_range must be ", kAtCreation},
      {"block_range_nan", block("MlpBlock", {}, {{"fc1_range", std::vector<float>{NAN, 1}}}), "MlpBlock: attribute fc1_range must be ", kAtCreation},
      {"block_range_of_one", block("MlpBlock", {}, {{"fc1_range", std::vector<float>{1}}}), "MlpBlock: attribute fc1_range must have 2 values, found 1.", kAtCreation},
      {"block_range_number", block("MlpBlock", {}, {{"fc1_range", 1.0f}}), "MlpBlock: attribute fc1_range must be a list of floats.", kAtCreation},
      {"block_range_of_nothing", block("MlpBlock", {}, {{"fc2_u_range", std::vector<float>{-1, 1}}}),
       "MlpBlock: attribute fc2_u_range needs input fc2_u; connect it or leave the range out.", kAtCreation},
      {"block_gates", block("MlpBlock", constant(tensor("fc1_bias", {13})), {text("activation", "swiglu")}), "MlpBlock: ", kAtCreation},
      {"block_heads", block("AttentionBlock", {}, {{"num_heads", int64_t{5}}}),
       "AttentionBlock: input qkv_bias must have a length that is a multiple of 15 (num_heads=5, 5 of them computed), found [24]; export with the model's own head count.",
       kAtCreation},
      {"block_scores", block("AttentionBlock", {}, {text("attention", "linear")}, {{"y"}, {"scores"}}),
       "AttentionBlock: output scores needs attribute attention=softmax, found linear; connect TokenScores to output projection, or leave the output out.", kAtCreation},
      {"block_precision", block("AttentionBlock", {}, {text("attention", "linear"), text("attention_precision", "int8")}),
       "AttentionBlock: attribute attention_precision=int8 needs attribute attention=softmax, found linear; leave it at float32.", kAtCreation},
      {"block_int8_tokens", block("AttentionBlock", tensor("x", {1, 65537, 8}), {text("attention_precision", "int8")}),
       "AttentionBlock: attribute attention_precision=int8 allows 65536 tokens, and features of a head, at most, found 65537 and 4; leave it at float32."},
      {"block_mix", block("AttentionBlock", constant(tensor("mix", {1, 1}))),
       "AttentionBlock: input mix needs attribute attention=hallucinated; set it or leave the input out.", kAtCreation},
      {"encoder_x", encoder(tensor("x", {1, 5, 9})), "EncoderBlock: input x must have shape [B,N,8] to match norm1_weight, found [1,5,9]."},
      {"encoder_norm", encoder(constant(tensor("norm2_weight", {9}))), "EncoderBlock: input norm2_bias must have shape [9], found [8].", kAtCreation},
      {"encoder_first_norm", encoder(constant(tensor("norm_bias", {9}))), "EncoderBlock: input norm1_bias must have shape [8], found [9].", kAtCreation},
      {"encoder_fc2", encoder(constant(tensor("fc2_bias", {16}))), "EncoderBlock: input fc2_bias must have shape [8] to match norm2_weight, found [16].",
       kAtCreation},
      {"encoder_halves",
       [] {
         const BlockProblem attention = random_block(1, 5, 8, 24, 8, WeightType::kFloat, WeightType::kFloat, 1),
                            mlp = random_block(1, 5, 9, 12, 12, WeightType::kFloat, WeightType::kFloat, 2);
         return Node{"EncoderBlock", {kTwoHeads}, encoder_inputs(block_inputs(attention, "qkv", "proj"), block_inputs(mlp, "fc1", "fc2")), {{"y"}}};
       }(),
       "EncoderBlock: input norm2_weight must have shape [8] to match norm1_weight, found [9].", kAtCreation},
      {"encoder_select", encoder({}, {text("select", "threshold")}),
       "EncoderBlock: attribute select must be one of none, top_k, sample, merge, prune_merge, found threshold.", kAtCreation},
      {"encoder_count_of_none", encoder(count),
       "EncoderBlock: input count needs attribute select=top_k, sample, merge or prune_merge, found none; set it or leave it out.", kAtCreation},
      {"encoder_threshold", encoder(tensor("threshold", {}), {text("select", "top_k")}),
       "EncoderBlock: input threshold needs attribute select=merge, found top_k; set it or leave it out.", kAtCreation},
      {"encoder_query", encoder(integers("query_index", {1, 1}, {0}), {text("select", "merge")}),
       "EncoderBlock: input query_index needs attribute select=none, found merge; set it or leave it out.", kAtCreation},
      {"encoder_index", encoder(count, {text("select", "merge")}, {{"y"}, {""}, {""}, {"index", kInt64}}),
       "EncoderBlock: output index needs attribute select=top_k, sample or prune_merge, found merge; set it or leave it out.", kAtCreation},
      {"encoder_size", encoder(count, {text("select", "sample")}, {{"y"}, {""}, {""}, {"", kInt64}, {"kept_size"}}),
       "EncoderBlock: output kept_size needs attribute select=top_k, merge or prune_merge, found sample; set it or leave it out.", kAtCreation},
      {"encoder_size_of_top_k", encoder(count, {text("select", "top_k")}, {{"y"}, {""}, {""}, {"", kInt64}, {"kept_size"}}),
       "EncoderBlock: output kept_size of select=top_k needs input size; connect it or leave the output out.", kAtCreation},
      {"encoder_group", encoder(count, {text("select", "prune_merge")}, {{"y"}, {""}, {""}, {"", kInt64}, {""}, {"group", kInt64}}),
       "EncoderBlock: output group needs attribute select=merge, found prune_merge; set it or leave it out.", kAtCreation},
      {"encoder_kept_count", encoder({}, {}, {{"y"}, {""}, {""}, {"", kInt64}, {""}, {"", kInt64}, {"kept_count", kInt64}}),
       "EncoderBlock: output kept_count needs attribute select=sample or merge, found none; set it or leave it out.", kAtCreation},
      {"encoder_without_count", encoder({}, {text("select", "prune_merge")}),
       "EncoderBlock: input count is missing; connect how many tokens select=prune_merge keeps.", kAtCreation},
      {"encoder_hallucinated",
       [&] {
         const BlockProblem attention = random_block(1, 5, 8, 16, 8, WeightType::kFloat, WeightType::kFloat, 1),
                            mlp = random_block(1, 5, 8, 12, 12, WeightType::kFloat, WeightType::kFloat, 2);
         std::vector<Argument> inputs = block_inputs(attention, "qkv", "proj");
         inputs.resize(13);
         inputs[12] = constant(tensor("mix", {1, 1}));
         return Node{"EncoderBlock",
                     {kTwoHeads, text("attention", "hallucinated"), text("select", "top_k")},
                     encoder_inputs(inputs, block_inputs(mlp, "fc1", "fc2"), count),
                     {{"y"}}};
       }(),
       "EncoderBlock: attribute select=top_k needs attention=softmax or linear, found hallucinated, which ranks no tokens; use select=none.", kAtCreation},
      {"encoder_scores", encoder({}, {text("attention", "linear")}, {{"y"}, {"scores"}}),
       "EncoderBlock: output scores needs attribute attention=softmax, found linear; connect TokenScores to output projection, or leave the output out.", kAtCreation},
      {"encoder_count", encoder(integers("count", {}, {5}), {text("select", "top_k")}),
       "EncoderBlock: count must be 0..4 (tokens 5 less prefix_tokens 1), found 5."},
      {"encoder_points", encoder(integers("count", {}, {-1}), {text("select", "sample")}), "EncoderBlock: count must be 0..16777216 sample points, found -1."},
      {"encoder_merges", encoder(integers("count", {}, {-1}), {text("select", "merge")}), "EncoderBlock: count must be 0 or more tokens to merge, found -1."},
      {"encoder_merge_without_count", encoder({}, {text("select", "merge")}),
       "EncoderBlock: input count is missing; connect the number of tokens to merge, or set attribute rule=threshold."},
      {"encoder_merge_without_threshold", encoder({}, {text("select", "merge"), text("rule", "threshold")}),
       "EncoderBlock: input threshold is missing; connect the similarity above which rule=threshold merges."},
      {"encoder_prefix", encoder(count, {text("select", "top_k"), {"prefix_tokens", int64_t{6}}}), "EncoderBlock: scores [1,5] has fewer tokens than prefix_tokens=6."},
      {"encoder_sizes", encoder(tensor("size", {1, 4})), "EncoderBlock: input size must have shape [1,5] to match qkv, found [1,4]."},
      {"encoder_merge_order", encoder(count, {text("select", "merge"), text("merge_order", "linear")}),
       "EncoderBlock: attribute merge_order must be one of tome, raster, found linear.", kAtCreation},
      {"block_query", block("AttentionBlock", integers("query_index", {1, 1}, {5})), "AttentionBlock: input query_index must name tokens 0..4, found 5."},
  };
}

class Status : public testing::TestWithParam<Refused> {};
INSTANTIATE_TEST_SUITE_P(, Status, testing::ValuesIn(refused()), [](const auto& info) { return info.param.name; });

TEST_P(Status, ShouldSayWhatWasExpectedAndFound) {
  const Outcome outcome = run(GetParam().node);
  EXPECT_EQ(outcome.code, GetParam().code);
  EXPECT_NE(outcome.message.find(GetParam().message), std::string::npos) << outcome.message;
}

TEST(StatusOfRightCalls, ShouldBeOk) {
  const Outcome outcome = run(attention("TokenAttention", {tensor("qkv", kQkv)}));
  EXPECT_EQ(outcome.code, ORT_OK) << outcome.message;
  EXPECT_EQ(outcome.outputs[0].GetTensorTypeAndShapeInfo().GetShape(), (std::vector<int64_t>{2, 5, 4}));
}

}  // namespace
}  // namespace coppice::test
