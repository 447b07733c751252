#include <cmath>

#include "reference.h"
#include "target.h"

namespace coppice::fuzz {

void kernels(Draw& draw) {
  Problem p = draw.problem();
  const float scale = 1 / std::sqrt(static_cast<float>(p.dim));
  if (draw.flag()) {
    p.key_weight = draw.floats(p.tokens);
    for (float& x : p.key_weight) x = std::log(x);
  }
  const Expected rows = class_reference(p, scale, false), columns = class_reference(p, scale, true), norms = value_norm_reference(p);
  for (const Kernels* body : bodies()) {
    EXPECT_TRUE(close(run_class_attention(*body, p, scale, false), rows)) << body->isa;
    EXPECT_TRUE(close(run_class_attention(*body, p, scale, true), columns)) << body->isa;
    EXPECT_TRUE(close(run_value_norms(*body, p), norms)) << body->isa;
  }
}

Node node(Draw& draw, ONNXTensorElementDataType type) {
  const auto heads = draw.one_of<int64_t>({1, 2, 3}), dim = draw.one_of<int64_t>({1, 4, 7, 16, 33});
  const auto batch = static_cast<int64_t>(draw.number(0, 2)), tokens = static_cast<int64_t>(draw.number(1, 40));
  Node call{"TokenScores",
            {{"num_heads", heads},
             {"prefix_tokens", draw.one_of<int64_t>({1, 0, 2, 1 << 20})},
             {"source", std::string(draw.one_of<const char*>({"cls_row", "cls_col"}))},
             {"value_norm", draw.one_of<int64_t>({0, 1})},
             {"renormalise", std::string(draw.one_of<const char*>({"none", "per_head", "total"}))}},
            {tensor(draw, "qkv", {batch, tokens, 3 * heads * dim}, type)},
            {{"scores", type}}};
  call.inputs.push_back(at_times(draw, [&] { return tensor(draw, "size", {batch, tokens}, type); }));
  return call;
}

}  // namespace coppice::fuzz
