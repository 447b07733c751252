#include "block.h"

#include "isa.h"
#include "problem.h"

namespace coppice::test {
namespace {

std::vector<float> scaled(std::vector<float> values, double factor) {
  for (float& value : values) value *= static_cast<float>(factor);
  return values;
}

// Weights of such a size that y is about as large as x.
LinearProblem layer(WeightType type, size_t depth, size_t columns, unsigned seed) {
  LinearProblem p = random_linear(type, 1, depth, columns, seed);
  const double factor = 1 / std::sqrt(static_cast<double>(depth));
  if (type == WeightType::kInt8) {
    p.scale = scaled(p.scale, factor / 50);
  } else if (type == WeightType::kFloat) {
    p.w = scaled(p.w, factor);
  }
  return p;
}

std::vector<float> through(LinearProblem layer, const std::vector<float>& x) {
  layer.rows = x.size() / layer.depth;
  layer.x = x;
  return run_linear_layer(linear_kernels(kernel_choice().chosen->isa), layer);
}

}  // namespace

std::vector<Argument> layer_inputs(const std::string& name, const LinearProblem& layer, ONNXTensorElementDataType type) {
  const bool bytes = layer.type == WeightType::kInt8;
  const auto panels = static_cast<int64_t>((layer.columns + 15) / 16), columns = static_cast<int64_t>(layer.columns);
  Argument weight{name, bytes ? kInt8 : layer.type == WeightType::kHalf ? kHalf : kFloat, {panels, static_cast<int64_t>(layer.depth), 16}, packed_weights(layer), true};
  if (bytes) weight.shape = {panels, static_cast<int64_t>((layer.depth + 3) / 4), 16, 4};
  const Argument bias = type == kHalf ? halves(name + "_bias", {columns}, layer.bias) : floats(name + "_bias", {columns}, layer.bias);
  return {weight, constant(bias), bytes ? constant(floats(name + "_scale", {columns}, layer.scale)) : Argument{}};
}

BlockProblem random_block(size_t batch, size_t tokens, size_t width, size_t inner, size_t depth, WeightType first, WeightType last, unsigned seed) {
  return {batch, tokens, width, normal(batch * tokens * width, seed), normal(width, seed + 1), normal(width, seed + 2), layer(first, width, inner, seed + 3),
          layer(last, depth, width, seed + 4)};
}

std::vector<Argument> block_inputs(const BlockProblem& p, const char* first, const char* last, ONNXTensorElementDataType type) {
  const auto batch = static_cast<int64_t>(p.batch), tokens = static_cast<int64_t>(p.tokens), width = static_cast<int64_t>(p.width);
  const auto values = [&](const char* name, const std::vector<int64_t>& shape, const std::vector<float>& x) {
    return type == kHalf ? halves(name, shape, x) : floats(name, shape, x);
  };
  std::vector<Argument> inputs{values("x", {batch, tokens, width}, p.x), constant(values("norm_weight", {width}, p.norm_weight)),
                               constant(values("norm_bias", {width}, p.norm_bias))};
  for (const auto& [name, layer] : {std::pair(first, &p.first), std::pair(last, &p.last)}) {
    for (Argument& input : layer_inputs(name, *layer, type)) inputs.push_back(std::move(input));
  }
  return inputs;
}

std::vector<Argument> encoder_inputs(std::vector<Argument> attention, std::vector<Argument> mlp, const Argument& count, const Argument& threshold) {
  attention.resize(14);
  mlp.resize(11);
  for (size_t i = 1; i < mlp.size(); ++i) {
    if (mlp[i].name.rfind("norm_", 0) == 0) mlp[i].name.replace(0, 4, "norm2");
    attention.push_back(std::move(mlp[i]));
  }
  attention.push_back(count);
  attention.push_back(threshold);
  return attention;
}

std::vector<float> first_layer(const BlockProblem& p, Activation activation) {
  LinearProblem layer = p.first;
  layer.activation = activation;
  return through(layer, run_layer_norm(linear_kernels(kernel_choice().chosen->isa), {p.batch * p.tokens, p.width, p.x, p.norm_weight, p.norm_bias}));
}

std::vector<float> last_layer(const LinearProblem& layer, const std::vector<float>& x, const std::vector<float>& residual) {
  LinearProblem last = layer;
  last.residual = residual;
  return through(last, x);
}

}  // namespace coppice::test
