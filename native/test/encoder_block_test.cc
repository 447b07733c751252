// EncoderBlock in a real ONNX Runtime: equal to the operators that it runs, one after the other, to the last bit.
#include <gtest/gtest.h>

#include "block.h"
#include "problem.h"

namespace coppice::test {
namespace {

constexpr size_t kTokens = 41, kWidth = 30;

struct Way {
  std::string name;
  size_t batch;
  std::vector<Attribute> attributes;
  std::vector<Argument> inputs = {};  // query_index, positions, size
  Argument count = {}, threshold = {};

  std::string text(const std::string& attribute, const std::string& fallback) const {
    for (const Attribute& a : attributes) {
      if (a.name == attribute) return std::get<std::string>(a.value);
    }
    return fallback;
  }
  friend void PrintTo(const Way& way, std::ostream* out) { *out << way.name; }
};

std::vector<Way> ways() {
  const auto text = [](const char* name, const char* value) { return Attribute{name, std::string(value)}; };
  const auto number = [](const char* name, int64_t value) { return Attribute{name, value}; };
  const auto sizes = [](size_t batch) {
    std::vector<float> values(batch * kTokens);
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(1 + i % 3);
    return floats("size", {static_cast<int64_t>(batch), kTokens}, values);
  };
  const Argument count = integers("count", {}, {17}), few = integers("count", {1}, {9}), threshold = floats("threshold", {}, {0.25f});
  const Attribute cls = text("score", "cls"), received = text("score", "received"), linear = text("attention", "linear"), padded = number("pad", 1);
  std::vector<int64_t> places(2 * kTokens);
  for (size_t i = 0; i < places.size(); ++i) places[i] = static_cast<int64_t>(2 * i % 82);
  return {
      {"none", 2, {cls}},
      {"some_queries", 2, {}, {integers("query_index", {2, 4}, {0, 5, 40, 40, 0, 7, 1, 2}), {}, sizes(2)}},
      {"top_k", 2, {text("select", "top_k"), cls}, {}, count},
      {"top_k_fused", 2, {text("select", "top_k"), number("fuse_pruned", 1), text("score", "cls_value_norm")}, {{}, {}, sizes(2)}, few},
      {"top_k_of_all", 1, {text("select", "top_k"), cls, number("prefix_tokens", 0)}, {}, integers("count", {}, {kTokens})},
      {"top_k_to_none", 1, {text("select", "top_k"), cls, number("prefix_tokens", 0)}, {}, integers("count", {}, {0})},
      {"top_k_by_token_scores", 2, {text("select", "top_k"), text("source", "cls_col")}, {{}, {}, sizes(2)}, count},
      {"top_k_linear", 2, {text("select", "top_k"), linear, text("reweight", "cos1d"), number("length", 82)}, {{}, integers("positions", {2, kTokens}, places)}, count},
      {"sample", 1, {text("select", "sample"), linear, text("renormalise", "per_head")}, {}, count},
      {"sample_padded", 2, {text("select", "sample"), text("rule", "ats"), padded, number("value_norm", 1), text("renormalise", "total")}, {}, few},
      {"merge", 2, {text("select", "merge")}, {{}, {}, sizes(2)}, few},
      {"merge_raster", 2, {text("select", "merge"), linear, text("order", "linear"), text("merge_order", "raster"), number("prefix_tokens", 2)}, {}, count},
      {"merge_by_threshold", 1, {text("select", "merge"), text("rule", "threshold"), received}, {}, {}, threshold},
      {"merge_padded", 2, {text("select", "merge"), text("rule", "threshold"), padded}, {}, few, threshold},
      {"prune_merge", 2, {text("select", "prune_merge"), cls, {"merge_share", 0.7f}}, {{}, {}, sizes(2)}, count},
      {"prune_merge_by_distance", 2, {text("select", "prune_merge"), cls, text("rank", "importance_distance")}, {}, few},
  };
}

std::vector<char> bytes_of(const Ort::Value& value) {
  const auto info = value.GetTensorTypeAndShapeInfo();
  const auto* first = static_cast<const char*>(value.GetTensorRawData());
  return {first, first + info.GetElementCount() * width_of(info.GetElementType())};
}

// An output of one operator as the input of another.
Argument handed_on(const std::string& name, const Ort::Value& value) {
  return {name, value.GetTensorTypeAndShapeInfo().GetElementType(), value.GetTensorTypeAndShapeInfo().GetShape(), bytes_of(value)};
}

class EncoderBlocks : public testing::TestWithParam<Way> {
 protected:
  const Way& way = GetParam();
  const BlockProblem attention = random_block(way.batch, kTokens, kWidth, 90, 30, WeightType::kInt8, WeightType::kFloat, 7);
  const BlockProblem mlp = random_block(way.batch, kTokens, kWidth, 119, 119, WeightType::kHalf, WeightType::kInt8, 8);
  const std::string select = way.text("select", "none");

  std::vector<Argument> attention_inputs() const {
    std::vector<Argument> inputs = block_inputs(attention, "qkv", "proj");
    inputs.insert(inputs.end(), way.inputs.begin(), way.inputs.end());
    return inputs;
  }
  Argument size() const { return way.inputs.size() > 2 ? way.inputs[2] : Argument{}; }
  // A call that must end well, with these attributes; an operator knows those that are its own.
  std::vector<Ort::Value> outputs(const std::string& op, std::vector<Attribute> attributes, std::vector<Argument> inputs, std::vector<Result> results) const {
    attributes.push_back({"num_heads", int64_t{3}});
    Outcome outcome = run({op, std::move(attributes), std::move(inputs), std::move(results)});
    EXPECT_EQ(outcome.code, ORT_OK) << op << ": " << outcome.message;
    return std::move(outcome.outputs);
  }

  struct Selected {
    Argument x;
    std::vector<Ort::Value> others;
  };
  Selected selected(const std::vector<Ort::Value>& from) const {
    const Argument rows = handed_on("x", from[0]), projection = handed_on("qkv", from.back());
    if (select == "none") return {rows, {}};
    std::vector<Attribute> attributes = way.attributes;
    if (select == "merge") {
      attributes.erase(std::remove_if(attributes.begin(), attributes.end(), [](const Attribute& a) { return a.name == "order"; }), attributes.end());
      for (Attribute& a : attributes) a.name = a.name == "merge_order" ? "order" : a.name;
      std::vector<Ort::Value> found = outputs("MergeTokens", attributes, {rows, projection, way.count, size(), way.threshold},
                                              {{"y"}, {"merged_size"}, {"group", kInt64}, {"kept_count", kInt64}});
      Selected result{handed_on("x", found[0]), {}};
      for (size_t i = 1; i < found.size(); ++i) result.others.push_back(std::move(found[i]));
      return result;
    }
    const Argument scores = from.size() > 2 ? handed_on("scores", from[1])
                                            : handed_on("scores", outputs("TokenScores", attributes, {projection, size()}, {{"scores"}})[0]);
    const bool sample = select == "sample";
    const std::string op = sample ? "SampleTokens" : select == "top_k" ? "TopKTokens" : "PruneMergeTokens";
    std::vector<Argument> inputs{scores, way.count, rows};
    if (!sample) inputs.push_back(size());
    const std::string third = sample ? "kept_count" : select == "prune_merge" ? "merged_size" : size().name.empty() ? "" : "kept_size";
    std::vector<Ort::Value> found = outputs(op, attributes, inputs, {{"index", kInt64}, {"y"}, {third, sample ? kInt64 : kFloat}});
    Selected result{handed_on("x", found[1]), {}};
    result.others.push_back(std::move(found[0]));
    if (!third.empty()) result.others.push_back(std::move(found[2]));
    return result;
  }
  // What the block gives beside y, in order.
  std::vector<Result> others() const {
    std::vector<Result> names{{""}, {""}, {"", kInt64}, {""}, {"", kInt64}, {"", kInt64}};
    if (select != "none" && select != "merge") names[2].name = "index";
    if (select == "merge" || select == "prune_merge" || (select == "top_k" && !size().name.empty())) names[3].name = "kept_size";
    if (select == "merge") names[4].name = "group";
    if (select == "merge" || select == "sample") names[5].name = "kept_count";
    return names;
  }
};

INSTANTIATE_TEST_SUITE_P(, EncoderBlocks, testing::ValuesIn(ways()), [](const auto& info) { return info.param.name; });

TEST_P(EncoderBlocks, ShouldBeItsOperators) {
  const bool scored = way.text("score", "none") != "none";
  const std::vector<Ort::Value> first =
      outputs("AttentionBlock", way.attributes, attention_inputs(), {{"y"}, {scored ? "scores" : ""}, {"projection"}});
  const Selected chosen = selected(first);
  std::vector<Argument> rest = block_inputs(mlp, "fc1", "fc2");
  const std::vector<Argument> inputs = encoder_inputs(attention_inputs(), rest, way.count, way.threshold);
  rest[0] = chosen.x;
  const std::vector<Ort::Value> y = outputs("MlpBlock", {}, rest, {{"y"}});

  std::vector<Result> results = others();
  results.insert(results.begin(), {"y"});
  const std::vector<Ort::Value> whole = outputs("EncoderBlock", way.attributes, inputs, results);
  ASSERT_EQ(whole.size(), 1 + chosen.others.size());
  EXPECT_EQ(whole[0].GetTensorTypeAndShapeInfo().GetShape(), chosen.x.shape);
  EXPECT_EQ(bytes_of(whole[0]), bytes_of(y[0]));
  for (size_t i = 0; i < chosen.others.size(); ++i) EXPECT_EQ(bytes_of(whole[i + 1]), bytes_of(chosen.others[i])) << "output " << i + 1;

  // The same with the scores and the projection handed on, and nothing else.
  const std::vector<Ort::Value> told = outputs("EncoderBlock", way.attributes, inputs, {{"y"}, {scored ? "scores" : ""}, {"projection"}});
  EXPECT_EQ(bytes_of(told[0]), bytes_of(y[0]));
  for (size_t i = 1; i < first.size(); ++i) EXPECT_EQ(bytes_of(told[i]), bytes_of(first[i]));
}

// The twin: another choice of tokens shows.
TEST(WrongEncoderBlock, AnotherCountShouldShow) {
  const auto answer = [](int64_t count) {
    const BlockProblem attention = random_block(1, 9, 8, 24, 8, WeightType::kFloat, WeightType::kFloat, 1);
    const BlockProblem mlp = random_block(1, 9, 8, 12, 12, WeightType::kFloat, WeightType::kFloat, 2);
    const Outcome outcome = run({"EncoderBlock",
                                 {{"num_heads", int64_t{2}}, {"select", std::string("top_k")}, {"fuse_pruned", int64_t{count < 4}}},
                                 encoder_inputs(block_inputs(attention, "qkv", "proj"), block_inputs(mlp, "fc1", "fc2"), integers("count", {}, {count})),
                                 {{"y"}}});
    EXPECT_EQ(outcome.code, ORT_OK) << outcome.message;
    return bytes_of(outcome.outputs[0]);
  };
  EXPECT_EQ(answer(3).size(), answer(4).size());
  EXPECT_NE(answer(3), answer(4));
}

}  // namespace
}  // namespace coppice::test
