#include "block.h"
#include "int8_attention_reference.h"
#include "linear_layer.h"

namespace coppice::fuzz {

// Its kernels are those of the layers and of the attentions, which have targets of their own but for the one in bytes: here a projection and
// what follows it.
void kernels(Draw& draw) {
  const size_t heads = draw.number(1, 3), dim = draw.one_of<size_t>({1, 4, 7, 16}), width = draw.number(1, 30);
  LinearProblem p = linear_layer(draw, width, 3 * heads * dim);
  p.rows = draw.number(1, 30);
  p.x = draw.floats(p.rows * width);
  const float scale = draw.one_of({0.125f, 1.0f, 1e-3f, 30.0f, 1e20f});
  const auto asked = draw.one_of({Asked::kNothing, Asked::kClassRow, Asked::kReceived});
  const std::vector<int64_t> index = draw.flag() ? draw.integers(draw.number(1, 20), 0, p.rows - 1) : std::vector<int64_t>();
  const std::vector<float> key_weight = draw.flag() ? draw.floats(p.rows) : std::vector<float>();
  for (const Kernels* body : runnable()) {
    const Problem q{p.rows, heads, dim, run_linear_layer(linear_kernels(body->isa), p), index, key_weight, {}, {}, {}};
    run_softmax(*body, q, scale);
    const auto found = run_int8_attention(int8_attention_kernels(body->isa), q, scale, asked);
    const auto want = int8_attention_reference(q, scale, asked);
    EXPECT_TRUE(close(found.y, want.y)) << body->isa;
    if (want.scores) EXPECT_TRUE(close(*found.scores, *want.scores)) << body->isa;
  }
}

Node node(Draw& draw, ONNXTensorElementDataType type) {
  const size_t heads = draw.number(2, 4), dim = draw.one_of<size_t>({1, 4, 7}), width = draw.number(1, 30);
  const auto tokens = draw.number(1, draw.number(0, 7) ? 12 : 70), batch = draw.number(0, 2);
  const auto kind = draw.one_of<const char*>({"softmax", "linear", "hallucinated"});
  const bool softmax = kind[0] == 's', hallucinated = kind[0] == 'h';
  BlockProblem p{batch, tokens, width, draw.floats(batch * tokens * width), draw.floats(width), draw.floats(width),
                 linear_layer(draw, width, (hallucinated ? 3 * heads - 2 : 3 * heads) * dim), linear_layer(draw, heads * dim, width)};
  Node call{"AttentionBlock",
            {{"num_heads", static_cast<int64_t>(heads)},
             {"attention", std::string(kind)},
             {"score", std::string(draw.flag() ? "cls" : "received")},
             {"attention_precision", std::string(softmax && draw.flag() ? "int8" : "float32")}},
            block_inputs(p, "qkv", "proj", type),
            {{"y", type}, {softmax && draw.flag() ? "scores" : "", type}, {draw.flag() ? "projection" : "", type}}};
  add_range(draw, "qkv", p.first, call.attributes);
  add_range(draw, "proj", p.last, call.attributes);
  call.inputs.resize(14);
  const auto items = static_cast<int64_t>(batch), length = static_cast<int64_t>(tokens), rows = static_cast<int64_t>(draw.number(0, 9));
  if (hallucinated) {
    call.inputs[12] = constant(tensor(draw, "mix", {1, static_cast<int64_t>(heads) - 1}, type));
  } else {
    call.inputs[9] = at_times(draw, [&] { return integers("query_index", {items, rows}, draw.integers(static_cast<size_t>(items * rows), 0, tokens - 1)); });
    call.inputs[11] = at_times(draw, [&] { return tensor(draw, "size", {items, length}, type); });
  }
  return call;
}

}  // namespace coppice::fuzz
