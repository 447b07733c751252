// A drawn linear layer.
#pragma once

#include "linear_layer.h"
#include "target.h"

namespace coppice::fuzz {

inline LinearProblem linear_layer(Draw& draw, size_t depth, size_t columns) {
  LinearProblem p = random_linear(draw.one_of({WeightType::kFloat, WeightType::kHalf, WeightType::kInt8}), 1, depth, columns, 1);
  // Drawn numbers go where they change arithmetic, not layout: the first weights, and every scale and bias.
  const std::vector<float> first = p.type == WeightType::kInt8 ? draw.even(std::min<size_t>(p.w.size(), 32), 127) : draw.even(std::min<size_t>(p.w.size(), 32), 4);
  for (size_t i = 0; i < first.size(); ++i) p.w[i] = p.type == WeightType::kFloat ? first[i] : std::nearbyint(first[i]);
  p.bias = draw.even(columns, 10);
  if (p.type == WeightType::kInt8) p.scale = draw.even(columns, 0.1f);
  if (p.type == WeightType::kInt8 && draw.flag()) {
    p.low = draw.one_of({0.0f, -0.3f, -1e30f});
    p.high = draw.one_of({2.0f, 1e-30f, 3e38f});
  }
  return p;
}

// The attribute of the layer's range; sometimes there is one that does not fit.
inline void add_range(Draw& draw, const std::string& name, const LinearProblem& p, std::vector<Attribute>& attributes) {
  if (p.high > 0 || draw.number(0, 31) == 0) attributes.push_back({name + "_range", std::vector<float>{p.low, p.high}});
}

}  // namespace coppice::fuzz
