#include <algorithm>
#include <cmath>

#include "block.h"
#include "linear_layer.h"

namespace coppice::fuzz {

// A layer on any numbers; where they are of ordinary size, against the definition, and int8 sums alike on every body.
void kernels(Draw& draw) {
  const bool tame = draw.flag();
  LinearProblem p = linear_layer(draw, draw.number(1, draw.number(0, 7) ? 20 : 150), draw.number(1, draw.number(0, 7) ? 20 : 70));
  p.rows = draw.number(1, draw.number(0, 7) ? 6 : 40);
  p.x = tame ? draw.even(p.rows * p.depth, 3) : draw.floats(p.rows * p.depth);
  if (draw.flag()) p.residual = draw.even(p.rows * p.columns, 3);
  p.activation = draw.one_of({Activation::kNone, Activation::kGelu, Activation::kGeluTanh});
  const size_t gap = draw.number(0, 3);
  const NormProblem norm{p.rows, p.depth, p.x, draw.even(p.depth, 2), draw.even(p.depth, 2), 0.01f};
  const Expected y = linear_layer_reference(p);
  for (const Kernels* body : runnable()) {
    const LinearKernels& own = linear_kernels(body->isa);
    const std::vector<float> found = run_linear_layer(own, p, gap), normed = run_layer_norm(own, norm);
    if (!tame) continue;
    EXPECT_TRUE(close(found, y)) << body->isa;
    EXPECT_TRUE(close(normed, layer_norm_reference(norm))) << body->isa;
  }
}

Node node(Draw& draw, ONNXTensorElementDataType type) {
  const size_t width = draw.number(1, 40), hidden = 2 * draw.number(1, 40), rank = draw.number(1, 20);
  const bool gated = draw.flag(), compact = draw.flag();
  BlockProblem p{draw.number(0, 2), draw.number(0, draw.number(0, 7) ? 12 : 70), width, {}, draw.floats(width), draw.floats(width),
                 linear_layer(draw, width, hidden), {}};
  const size_t features = gated ? hidden / 2 : hidden;
  p.last = linear_layer(draw, compact ? rank : features, width);
  p.x = draw.floats(p.batch * p.tokens * width);
  Node call{"MlpBlock",
            {{"activation", std::string(gated ? "swiglu" : draw.one_of<const char*>({"gelu", "gelu_tanh"}))}, {"epsilon", draw.one_of({1e-6f, 0.0f})}},
            block_inputs(p, "fc1", "fc2", type),
            {{"y", type}}};
  add_range(draw, "fc1", p.first, call.attributes);
  add_range(draw, "fc2", p.last, call.attributes);
  if (compact) {
    LinearProblem u = linear_layer(draw, features, rank);
    // The rank is what float panels say, or the first factor's scales; int8 panels alone say it to four.
    if (u.type != WeightType::kInt8 && p.last.type == WeightType::kInt8) u = random_linear(WeightType::kInt8, 1, features, rank, 1);
    add_range(draw, "fc2_u", u, call.attributes);
    const std::vector<Argument> factor = layer_inputs("fc2_u", u);
    call.inputs.insert(call.inputs.end(), {factor[0], factor[2]});
  }
  return call;
}

}  // namespace coppice::fuzz
