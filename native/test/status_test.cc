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
const std::vector<int64_t> kQkv{2, 5, 12};

std::vector<Refused> refused() {
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
