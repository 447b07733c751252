// Encoder blocks in a real ONNX Runtime: equal to what the separate operators and kernels give one after the other, to the last bit,
// as every row goes through the same arithmetic.
#include <cfloat>
#include <cmath>

#include "block.h"
#include "int8_attention_reference.h"
#include "isa.h"
#include "problem.h"

namespace coppice::test {
namespace {

using Types = std::tuple<WeightType, WeightType>;

const auto kTypes = testing::Combine(testing::Values(WeightType::kFloat, WeightType::kHalf, WeightType::kInt8),
                                     testing::Values(WeightType::kFloat, WeightType::kInt8));

std::string types_name(const testing::TestParamInfo<Types>& info) {
  constexpr const char* names[] = {"float", "half", "int8"};
  return std::string(names[static_cast<size_t>(std::get<0>(info.param))]) + "_" + names[static_cast<size_t>(std::get<1>(info.param))];
}

std::vector<float> values(const Ort::Value& tensor) {
  const auto* first = tensor.GetTensorData<float>();
  return {first, first + tensor.GetTensorTypeAndShapeInfo().GetElementCount()};
}

class Blocks : public testing::TestWithParam<Types> {
 protected:
  // Odd sizes: no multiple of a tile, a panel or a group of bytes.
  BlockProblem problem(size_t inner, size_t depth) const {
    return random_block(2, 41, 30, inner, depth, std::get<0>(GetParam()), std::get<1>(GetParam()), 7);
  }
  const LinearKernels& kernels = linear_kernels(kernel_choice().chosen->isa);
};

INSTANTIATE_TEST_SUITE_P(, Blocks, kTypes, types_name);

TEST_P(Blocks, MlpShouldBeItsLayers) {
  const BlockProblem p = problem(119, 119);
  for (const auto& [name, activation] : {std::pair("gelu", Activation::kGelu), std::pair("gelu_tanh", Activation::kGeluTanh)}) {
    const Outcome outcome = run({"MlpBlock", {{"activation", std::string(name)}}, block_inputs(p, "fc1", "fc2"), {{"y"}}});
    ASSERT_EQ(outcome.code, ORT_OK) << outcome.message;
    EXPECT_EQ(values(outcome.outputs[0]), last_layer(p.last, first_layer(p, activation), p.x)) << name;
  }
}

TEST_P(Blocks, GatedMlpShouldBeItsLayers) {
  const BlockProblem p = problem(2 * 37, 37);
  const Outcome outcome = run({"MlpBlock", {{"activation", std::string("swiglu")}}, block_inputs(p, "fc1", "fc2"), {{"y"}}});
  ASSERT_EQ(outcome.code, ORT_OK) << outcome.message;
  std::vector<float> hidden = first_layer(p, Activation::kNone), gated;
  kernels.swiglu({hidden.data(), 74}, 82, 37);
  for (size_t i = 0; i < 82; ++i) gated.insert(gated.end(), hidden.begin() + static_cast<long>(i * 74), hidden.begin() + static_cast<long>(i * 74 + 37));
  EXPECT_EQ(values(outcome.outputs[0]), last_layer(p.last, gated, p.x));
}

std::vector<float> range_of(const LinearProblem& layer) { return {layer.low, layer.high}; }

// A compact MLP: its second layer's first factor, u, is a layer of its own.
struct CompactMlp {
  BlockProblem p;
  LinearProblem u;

  CompactMlp(WeightType first, WeightType last) : p(random_block(2, 41, 30, 119, 21, first, last, 7)), u(random_linear(first, 1, 119, 21, 9)) { u.bias.clear(); }

  std::vector<float> found(std::vector<Attribute> attributes) const {
    Node node{"MlpBlock", std::move(attributes), block_inputs(p, "fc1", "fc2"), {{"y"}}};
    const std::vector<Argument> factor = layer_inputs("fc2_u", u);
    node.inputs.insert(node.inputs.end(), {factor[0], factor[2]});
    const Outcome outcome = run(node);
    EXPECT_EQ(outcome.code, ORT_OK) << outcome.message;
    return outcome.code == ORT_OK ? values(outcome.outputs[0]) : std::vector<float>();
  }
  std::vector<float> layers() const { return last_layer(p.last, last_layer(u, first_layer(p, Activation::kGelu), {}), p.x); }
};

TEST_P(Blocks, CompactMlpShouldBeItsLayers) {
  const CompactMlp mlp(std::get<0>(GetParam()), std::get<1>(GetParam()));
  EXPECT_EQ(mlp.found({}), mlp.layers());
}

TEST(CalibratedBlock, EveryLayerShouldHaveItsRange) {
  CompactMlp mlp(WeightType::kInt8, WeightType::kInt8);
  mlp.p.first.low = -2, mlp.p.first.high = 2.5f, mlp.u.low = -0.2f, mlp.u.high = 3, mlp.p.last.low = -40, mlp.p.last.high = 50;
  const std::vector<Attribute> two{{"fc1_range", range_of(mlp.p.first)}, {"fc2_u_range", range_of(mlp.u)}};
  std::vector<Attribute> three = two;
  three.push_back({"fc2_range", range_of(mlp.p.last)});
  EXPECT_EQ(mlp.found(three), mlp.layers());
  EXPECT_NE(mlp.found(two), mlp.layers());
}

TEST(CalibratedBlock, BothProjectionsShouldHaveTheirRanges) {
  BlockProblem p = random_block(2, 41, 30, 90, 30, WeightType::kInt8, WeightType::kInt8, 7);
  p.first.low = -2, p.first.high = 2.5f, p.last.low = -0.5f, p.last.high = 0.25f;
  const Outcome outcome = run({"AttentionBlock", {{"num_heads", int64_t{3}}, {"qkv_range", range_of(p.first)}, {"proj_range", range_of(p.last)}},
                               block_inputs(p, "qkv", "proj"), {{"y"}, {""}, {"projection"}}});
  ASSERT_EQ(outcome.code, ORT_OK) << outcome.message;
  const std::vector<float> projection = values(outcome.outputs[1]);
  EXPECT_EQ(projection, first_layer(p, Activation::kNone));
  const Outcome mixed = run({"TokenAttention", {{"num_heads", int64_t{3}}}, {floats("qkv", {2, 41, 90}, projection)}, {{"y"}}});
  EXPECT_EQ(values(outcome.outputs[0]), last_layer(p.last, values(mixed.outputs[0]), p.x));
}

// The attention operators by themselves on the projection that the block hands on.
struct Form {
  std::string name, op;
  std::vector<Attribute> attributes;
  std::vector<Argument> inputs;  // beside qkv, in the operator's order
  bool scores = false;
};

const Attribute kThreeHeads{"num_heads", int64_t{3}};

class AttentionBlocks : public Blocks {
 protected:
  void equal(const Form& form, size_t parts, const std::vector<int64_t>& query_index = {}) {
    const BlockProblem p = problem(parts * 10, 30);
    Node block{"AttentionBlock", form.attributes, block_inputs(p, "qkv", "proj"), {{"y"}, {form.scores ? "scores" : ""}, {"projection"}}};
    block.attributes.push_back({"attention", form.name});
    block.inputs.resize(14);
    for (const Argument& input : form.inputs) {
      const std::vector<std::string> names{"query_index", "positions", "size", "mix", "dw"};
      const auto at = static_cast<size_t>(std::find(names.begin(), names.end(), input.name) - names.begin());
      if (at < names.size()) block.inputs[9 + at] = input.name == "mix" || input.name == "dw" ? constant(input) : input;
    }
    const Outcome whole = run(block);
    ASSERT_EQ(whole.code, ORT_OK) << whole.message;
    const std::vector<float> projection = values(whole.outputs.back());
    EXPECT_EQ(projection, first_layer(p, Activation::kNone));

    Node attention{form.op, form.attributes, {floats("qkv", {2, 41, static_cast<int64_t>(parts * 10)}, projection)}, {{"y"}}};
    if (form.scores) attention.outputs.push_back({"scores"});
    attention.inputs.insert(attention.inputs.end(), form.inputs.begin(), form.inputs.end());
    const Outcome mixed = run(attention);
    ASSERT_EQ(mixed.code, ORT_OK) << mixed.message;
    std::vector<float> residual;
    const size_t rows = query_index.empty() ? 41 : query_index.size() / 2;
    for (size_t r = 0; r < 2 * rows; ++r) {
      const size_t token = query_index.empty() ? r : r / rows * 41 + static_cast<size_t>(query_index[r]);
      residual.insert(residual.end(), p.x.begin() + static_cast<long>(token * 30), p.x.begin() + static_cast<long>((token + 1) * 30));
    }
    EXPECT_EQ(values(whole.outputs[0]), last_layer(p.last, values(mixed.outputs[0]), residual));
    if (form.scores) {
      EXPECT_EQ(values(whole.outputs[1]), values(mixed.outputs[1]));
    }
  }
};

INSTANTIATE_TEST_SUITE_P(, AttentionBlocks, kTypes, types_name);

TEST_P(AttentionBlocks, SoftmaxShouldBeTokenAttention) {
  equal({"softmax", "TokenAttention", {kThreeHeads, {"score", std::string("cls")}}, {}, true}, 9);
}

TEST_P(AttentionBlocks, SomeQueriesAndSizesShouldReachTheAttention) {
  const std::vector<int64_t> index{0, 5, 40, 40, 0, 7, 1, 2};
  std::vector<float> sizes(82);
  for (size_t i = 0; i < sizes.size(); ++i) sizes[i] = static_cast<float>(1 + i % 3);
  equal({"softmax", "TokenAttention", {kThreeHeads}, {integers("query_index", {2, 4}, index), floats("size", {2, 41}, sizes)}}, 9, index);
}

// Attention in bytes has no operator of its own: against its kernels, head by head and row by row of every item.
TEST_P(AttentionBlocks, Int8ShouldBeItsKernels) {
  const BlockProblem p = problem(9 * 10, 30);
  const std::vector<int64_t> index{5, 0, 40, 40, 0, 7, 1, 2, 0, 4};
  std::vector<float> sizes(82);
  for (size_t i = 0; i < sizes.size(); ++i) sizes[i] = static_cast<float>(1 + i % 3);
  for (const Asked asked : {Asked::kClassRow, Asked::kReceived}) {
    Node node{"AttentionBlock", {kThreeHeads, {"attention_precision", std::string("int8")}, {"score", std::string(asked == Asked::kClassRow ? "cls" : "received")}},
              block_inputs(p, "qkv", "proj"), {{"y"}, {"scores"}, {"projection"}}};
    node.inputs.insert(node.inputs.end(), {integers("query_index", {2, 5}, index), {}, floats("size", {2, 41}, sizes)});
    const Outcome outcome = run(node);
    ASSERT_EQ(outcome.code, ORT_OK) << outcome.message;
    const std::vector<float> projection = values(outcome.outputs[2]);
    std::vector<float> mixed, residual, scores;
    for (size_t b = 0; b < 2; ++b) {
      Problem item{41, 3, 10, {projection.begin() + static_cast<long>(b * 41 * 90), projection.begin() + static_cast<long>((b + 1) * 41 * 90)}, {}, {}, {}, {}, {}};
      item.query_index.assign(index.begin() + static_cast<long>(b * 5), index.begin() + static_cast<long>(b * 5 + 5));
      for (size_t j = 0; j < 41; ++j) item.key_weight.push_back(std::log(sizes[b * 41 + j]));
      const auto answer = run_int8_attention(int8_attention_kernels(kernel_choice().chosen->isa), item, 1 / std::sqrt(10.0f), asked);
      mixed.insert(mixed.end(), answer.y.begin(), answer.y.end());
      for (const int64_t token : item.query_index) {
        const auto first = p.x.begin() + (static_cast<long>(b) * 41 + token) * 30;
        residual.insert(residual.end(), first, first + 30);
      }
      for (size_t j = 0; j < 41; ++j) {
        float total = 0;
        for (size_t h = 0; h < 3; ++h) total += (*answer.scores)[h * 41 + j];
        scores.push_back(total / 3 / (asked == Asked::kReceived ? 5.0f : 1.0f));
      }
    }
    EXPECT_EQ(values(outcome.outputs[0]), last_layer(p.last, mixed, residual));
    const std::vector<float> found = values(outcome.outputs[1]);
    ASSERT_EQ(found.size(), scores.size());
    // What tokens receive is fifteen weights, summed in an order that depends on the rows of a tile.
    for (size_t j = 0; j < scores.size(); ++j) EXPECT_NEAR(found[j], scores[j], asked == Asked::kReceived ? 15 * FLT_EPSILON * scores[j] : 0) << j;
  }
}

TEST_P(AttentionBlocks, LinearShouldBeLinearAttention) {
  std::vector<int64_t> places(82);
  for (size_t i = 0; i < places.size(); ++i) places[i] = static_cast<int64_t>(2 * i % 82);
  equal({"linear", "LinearAttention", {kThreeHeads, {"reweight", std::string("cos1d")}, {"length", int64_t{82}}}, {{}, integers("positions", {2, 41}, places)}}, 9);
}

TEST_P(AttentionBlocks, HallucinatedShouldBeHallucinatedAttention) {
  equal({"hallucinated", "HallucinatedAttention", {kThreeHeads}, {floats("mix", {1, 2}, normal(2, 3))}}, 7);
}

// The twin: a block's answer is compared to the last bit.
TEST(WrongBlock, AnotherEpsilonShouldShow) {
  const BlockProblem p = random_block(1, 5, 8, 16, 16, WeightType::kFloat, WeightType::kFloat, 1);
  const Outcome outcome = run({"MlpBlock", {{"epsilon", 1e-3f}}, block_inputs(p, "fc1", "fc2"), {{"y"}}});
  ASSERT_EQ(outcome.code, ORT_OK) << outcome.message;
  EXPECT_NE(values(outcome.outputs[0]), last_layer(p.last, first_layer(p, Activation::kGelu), p.x));
}

}  // namespace
}  // namespace coppice::test
