#include <algorithm>
#include <cmath>

#include "reference.h"
#include "target.h"

namespace coppice::fuzz {

void kernels(Draw& draw) {
  Problem p = draw.problem();
  const float scale = draw.one_of({0.125f, 1.0f, 1e-3f, 30.0f, 1e20f});
  if (draw.flag()) {
    // Sizes: what the adapter makes of them is their logarithm.
    p.key_weight = draw.floats(p.tokens);
    for (float& x : p.key_weight) x = draw.flag() ? std::log(std::abs(x)) : x;
  }
  const Tiles tiles{draw.one_of<size_t>({kRowTile, 1, 5, 17}), kFeatureTile};

  const bool class_row = p.query_index.empty() || std::count(p.query_index.begin(), p.query_index.end(), 0) > 0;
  const Expected y = softmax_reference(p, scale), received = received_reference(p, scale), rows = class_reference(p, scale, false);
  for (const Kernels* body : bodies()) {
    std::vector<float> class_rows;
    EXPECT_TRUE(close(run_softmax(*body, p, scale, &class_rows, tiles), y)) << body->isa;
    if (class_row) EXPECT_TRUE(close(class_rows, rows)) << body->isa;
    EXPECT_TRUE(close(run_received(*body, p, scale, tiles), received)) << body->isa;
  }
}

Node node(Draw& draw, ONNXTensorElementDataType type) {
  const auto heads = draw.one_of<int64_t>({1, 2, 3}), dim = draw.one_of<int64_t>({1, 4, 7, 16, 33});
  const auto batch = static_cast<int64_t>(draw.number(0, 2)), tokens = static_cast<int64_t>(draw.number(1, draw.number(0, 7) ? 12 : 150));
  const auto rows = static_cast<int64_t>(draw.number(0, draw.number(0, 7) ? 9 : 150));
  Node call{"TokenAttention",
            {{"num_heads", heads},
             {"scale", draw.one_of({0.0f, 0.125f, 1.0f})},
             {"score", std::string(draw.one_of<const char*>({"cls", "cls_value_norm", "received"}))}},
            {tensor(draw, "qkv", {batch, tokens, 3 * heads * dim}, type)},
            {{"y", type}, {draw.flag() ? "scores" : "", type}}};
  call.inputs.push_back(at_times(draw, [&] {
    return integers("query_index", {batch, rows}, draw.integers(static_cast<size_t>(batch * rows), 0, static_cast<size_t>(tokens - 1)));
  }));
  call.inputs.push_back(at_times(draw, [&] { return tensor(draw, "size", {batch, tokens}, type); }));
  return call;
}

}  // namespace coppice::fuzz
