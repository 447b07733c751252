// A call of each operator that takes every path with memory of its own.
#pragma once

#include <string>
#include <vector>

#include "block.h"
#include "node.h"
#include "problem.h"

namespace coppice::test {

struct Call {
  std::string name;
  Node node;

  friend void PrintTo(const Call& call, std::ostream* out) { *out << call.name; }
};

inline Argument tensor(const std::string& name, const std::vector<int64_t>& shape, ONNXTensorElementDataType type = kFloat) {
  size_t count = 1;
  for (const int64_t n : shape) count *= static_cast<size_t>(n);
  const std::vector<float> values = normal(count, 1);
  return type == kHalf ? halves(name, shape, values) : floats(name, shape, values);
}

// A block of two heads of eight features in int8 and float16, with x in `type`.
inline BlockProblem small_block(int64_t tokens, size_t inner, size_t depth) {
  return random_block(1, static_cast<size_t>(tokens), 16, inner, depth, WeightType::kInt8, WeightType::kHalf, 1);
}

// Both halves of such a block, with tokens' sizes and a selection's count.
inline std::vector<Argument> small_encoder(int64_t tokens, ONNXTensorElementDataType type, const Argument& size, const Argument& count) {
  std::vector<Argument> attention = block_inputs(small_block(tokens, 48, 16), "qkv", "proj", type);
  attention.resize(12);
  attention[11] = size;
  return encoder_inputs(attention, block_inputs(small_block(tokens, 40, 40), "fc1", "fc2", type), count);
}

// Every operator on `tokens` tokens of two heads of eight features; outputs in the same type.
inline std::vector<Call> calls(int64_t tokens, ONNXTensorElementDataType type) {
  const std::string suffix = type == kHalf ? "_half" : "";
  std::vector<int64_t> places(static_cast<size_t>(tokens));
  for (size_t i = 0; i < places.size(); ++i) places[i] = static_cast<int64_t>(i);
  std::vector<float> twos(places.size(), 2);
  const Argument qkv = tensor("qkv", {1, tokens, 48}, type), scores = tensor("scores", {1, tokens}, type), x = tensor("x", {1, tokens, 16}, type);
  const Argument size = type == kHalf ? halves("size", {1, tokens}, twos) : floats("size", {1, tokens}, twos);
  const Attribute heads{"num_heads", int64_t{2}};
  const auto text = [](const char* name, const char* value) { return Attribute{name, std::string(value)}; };
  std::vector<Call> all = {
      {"LinearAttention" + suffix, {"LinearAttention", {heads}, {qkv}, {{"y", type}}}},
      {"LinearAttention_cos1d" + suffix,
       {"LinearAttention",
        {heads, text("reweight", "cos1d"), text("feature_map", "relu_pow3"), text("order", "linear")},
        {qkv, {}, integers("positions", {1, tokens}, places), size},
        {{"y", type}}}},
      {"LinearAttention_cos2d" + suffix,
       {"LinearAttention",
        {heads, text("reweight", "cos2d"), {"grid", int64_t{64}}, text("order", "quadratic")},
        {qkv, integers("query_index", {1, 1}, {0})},
        {{"y", type}}}},
      {"TokenAttention" + suffix, {"TokenAttention", {heads}, {qkv, {}, size}, {{"y", type}}}},
      // Token 0 in every tile of rows.
      {"TokenAttention_cls" + suffix,
       {"TokenAttention",
        {heads, text("score", "cls_value_norm")},
        {qkv, integers("query_index", {1, tokens}, std::vector<int64_t>(places.size(), 0))},
        {{"y", type}, {"scores", type}}}},
      {"TokenAttention_received" + suffix, {"TokenAttention", {heads, text("score", "received")}, {qkv}, {{"y", type}, {"scores", type}}}},
      {"TokenScores" + suffix, {"TokenScores", {heads, {"value_norm", int64_t{1}}}, {qkv, size}, {{"scores", type}}}},
      {"TopKTokens" + suffix,
       {"TopKTokens",
        {{"fuse_pruned", int64_t{1}}},
        {scores, integers("count", {}, {tokens / 2}), x, size},
        {{"index", kInt64}, {"y", type}, {"kept_size", type}}}},
      {"SampleTokens" + suffix,
       {"SampleTokens", {text("rule", "ats")}, {scores, integers("count", {}, {tokens / 2}), x}, {{"index", kInt64}, {"y", type}, {"kept_count", kInt64}}}},
      {"ThresholdTokens" + suffix,
       {"ThresholdTokens", {}, {scores, tensor("threshold", {}, type), x}, {{"index", kInt64}, {"y", type}, {"kept_count", kInt64}}}},
      {"MergeTokens" + suffix,
       {"MergeTokens",
        {},
        {x, tensor("metric", {1, tokens, 8}, type), integers("count", {}, {tokens / 3}), size},
        {{"y", type}, {"merged_size", type}, {"group", kInt64}, {"kept_count", kInt64}}}},
      {"MergeTokens_threshold" + suffix,
       {"MergeTokens",
        {heads, text("rule", "threshold")},
        {x, qkv, {}, {}, tensor("threshold", {}, type)},
        {{"y", type}, {"merged_size", type}, {"group", kInt64}, {"kept_count", kInt64}}}},
      {"PruneMergeTokens" + suffix,
       {"PruneMergeTokens",
        {{"merge_share", 0.7f}},
        {scores, integers("count", {}, {tokens / 2}), x, size},
        {{"index", kInt64}, {"y", type}, {"merged_size", type}}}},
      {"PruneMergeTokens_distance" + suffix,
       {"PruneMergeTokens", {text("rank", "importance_distance")}, {scores, integers("count", {}, {tokens / 2}), x}, {{"index", kInt64}, {"y", type}}}},
      {"PatchMerger" + suffix, {"PatchMerger", {{"layer_norm", int64_t{1}}}, {x, tensor("w", {16, 5}, type)}, {{"y", type}}}},
      {"MlpBlock" + suffix, {"MlpBlock", {}, block_inputs(small_block(tokens, 40, 40), "fc1", "fc2", type), {{"y", type}}}},
      {"MlpBlock_swiglu" + suffix,
       {"MlpBlock", {text("activation", "swiglu")}, block_inputs(small_block(tokens, 40, 20), "fc1", "fc2", type), {{"y", type}}}},
      {"AttentionBlock" + suffix,
       {"AttentionBlock",
        {heads, text("score", "cls")},
        block_inputs(small_block(tokens, 48, 16), "qkv", "proj", type),
        {{"y", type}, {"scores", type}, {"projection", type}}}},
      // Token 0 in every tile of rows.
      {"AttentionBlock_int8" + suffix,
       {"AttentionBlock",
        {heads, text("score", "cls"), text("attention_precision", "int8")},
        [&] {
          std::vector<Argument> inputs = block_inputs(small_block(tokens, 48, 16), "qkv", "proj", type);
          inputs.push_back(integers("query_index", {1, tokens}, std::vector<int64_t>(places.size(), 0)));
          return inputs;
        }(),
        {{"y", type}, {"scores", type}}}},
      {"AttentionBlock_int8_received" + suffix,
       {"AttentionBlock",
        {heads, text("score", "received"), text("attention_precision", "int8")},
        block_inputs(small_block(tokens, 48, 16), "qkv", "proj", type),
        {{"y", type}, {"scores", type}}}},
      {"AttentionBlock_linear" + suffix,
       {"AttentionBlock",
        {heads, text("attention", "linear")},
        [&] {
          std::vector<Argument> inputs = block_inputs(small_block(tokens, 48, 16), "qkv", "proj", type);
          inputs.push_back(integers("query_index", {1, 1}, {0}));
          return inputs;
        }(),
        {{"y", type}}}},
      {"EncoderBlock_sample" + suffix,
       {"EncoderBlock",
        {heads, text("attention", "linear"), text("select", "sample"), text("renormalise", "per_head"), {"pad", int64_t{1}}},
        small_encoder(tokens, type, {}, integers("count", {}, {tokens / 2})),
        {{"y", type}, {"", type}, {"", type}, {"index", kInt64}, {"", type}, {"", kInt64}, {"kept_count", kInt64}}}},
      {"EncoderBlock" + suffix, {"EncoderBlock", {heads}, small_encoder(tokens, type, {}, {}), {{"y", type}, {"", type}, {"projection", type}}}},
      {"EncoderBlock_top_k" + suffix,
       {"EncoderBlock",
        {heads, text("score", "cls"), text("select", "top_k"), {"fuse_pruned", int64_t{1}}},
        small_encoder(tokens, type, size, integers("count", {}, {tokens / 2})),
        {{"y", type}, {"scores", type}, {"", type}, {"index", kInt64}, {"kept_size", type}}}},
      {"EncoderBlock_merge" + suffix,
       {"EncoderBlock",
        {heads, text("select", "merge")},
        small_encoder(tokens, type, size, integers("count", {}, {tokens / 3})),
        {{"y", type}, {"", type}, {"", type}, {"", kInt64}, {"kept_size", type}, {"group", kInt64}}}},
      {"EncoderBlock_prune_merge" + suffix,
       {"EncoderBlock",
        {heads, text("score", "cls"), text("select", "prune_merge")},
        small_encoder(tokens, type, size, integers("count", {}, {tokens / 2})),
        {{"y", type}, {"", type}, {"", type}, {"index", kInt64}}}},
      {"HallucinatedAttention" + suffix,
       {"HallucinatedAttention",
        {{"num_heads", int64_t{4}}, {"dw_kernel", int64_t{3}}, text("renorm", "row_sum")},
        {tensor("qkv", {1, tokens, 64}, type), tensor("mix", {2, 2}, type), tensor("dw", {2, 3, 3}, type)},
        {{"y", type}}}},
  };
  // Pictures become float32 only.
  if (type == kFloat) all.push_back({"ImageToTensor", {"ImageToTensor", {{"size", int64_t{20}}}, {bytes("image", {tokens, 30, 3})}, {{"tensor", kFloat}}}});
  return all;
}

inline std::vector<Call> calls(int64_t tokens) {
  std::vector<Call> all = calls(tokens, kFloat), half = calls(tokens, kHalf);
  all.insert(all.end(), half.begin(), half.end());
  return all;
}

}  // namespace coppice::test
