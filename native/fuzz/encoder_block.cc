#include <algorithm>
#include <cstring>

#include "block.h"
#include "linear_layer.h"

namespace coppice::fuzz {

// Its kernels have targets of their own; what it adds is that the second half works in place: a layer whose result takes the place of
// what it is added to, against the same in memory of its own.
void kernels(Draw& draw) {
  LinearProblem p = linear_layer(draw, draw.number(1, draw.number(0, 7) ? 20 : 150), draw.number(1, draw.number(0, 7) ? 20 : 70));
  p.rows = draw.number(1, draw.number(0, 7) ? 6 : 40);
  p.x = draw.floats(p.rows * p.depth);
  p.residual = draw.floats(p.rows * p.columns);
  for (const Kernels* body : runnable()) {
    const LinearKernels& own = linear_kernels(body->isa);
    const std::vector<float> in_place = run_linear_layer(own, p, 0, true), apart = run_linear_layer(own, p);
    EXPECT_EQ(std::memcmp(in_place.data(), apart.data(), apart.size() * sizeof(float)), 0) << body->isa;
  }
}

Node node(Draw& draw, ONNXTensorElementDataType type) {
  const size_t heads = draw.number(2, 4), dim = draw.one_of<size_t>({1, 4, 7}), width = draw.number(1, 30), hidden = draw.number(1, 40);
  const auto select = draw.one_of<const char*>({"none", "top_k", "sample", "merge", "prune_merge"});
  const bool none = select[0] == 'n', top_k = select[0] == 't', sample = select[0] == 's', merge = select[0] == 'm';
  const bool by_threshold = merge && draw.flag(), pad = draw.flag(), softmax = draw.flag();
  const size_t tokens = draw.number(1, draw.number(0, 7) ? 12 : 70), batch = draw.number(0, (sample || by_threshold) && !pad ? 1 : 2);
  const BlockProblem attention{batch, tokens, width, draw.floats(batch * tokens * width), draw.floats(width), draw.floats(width),
                               linear_layer(draw, width, 3 * heads * dim), linear_layer(draw, heads * dim, width)};
  const BlockProblem mlp{batch, tokens, width, {}, draw.floats(width), draw.floats(width), linear_layer(draw, width, hidden), linear_layer(draw, hidden, width)};
  const auto items = static_cast<int64_t>(batch), length = static_cast<int64_t>(tokens);
  const auto prefix = static_cast<int64_t>(draw.number(0, std::min<size_t>(tokens, 2)));
  std::vector<Argument> inputs = block_inputs(attention, "qkv", "proj", type);
  inputs.resize(14);
  if (none) inputs[9] = at_times(draw, [&] { return integers("query_index", {items, 2}, draw.integers(2 * batch, 0, tokens - 1)); });
  inputs[11] = at_times(draw, [&] { return tensor(draw, "size", {items, length}, type); });
  const bool sized = merge || select[0] == 'p' || (top_k && !inputs[11].name.empty());
  const std::vector<float> above = draw.even(1);
  const bool counted = !none && (!by_threshold || draw.flag());
  const bool scored = softmax && draw.flag();
  const auto at = [&](bool there, const char* name) { return std::string(there && draw.flag() ? name : ""); };
  Node call{"EncoderBlock",
            {{"num_heads", static_cast<int64_t>(heads)},
             {"attention", std::string(softmax ? "softmax" : "linear")},
             {"attention_precision", std::string(softmax && draw.flag() ? "int8" : "float32")},
             {"score", std::string(scored ? draw.one_of<const char*>({"cls", "cls_value_norm", "received"}) : "none")},
             {"select", std::string(select)},
             {"prefix_tokens", prefix},
             {"fuse_pruned", int64_t{draw.flag()}},
             {"rule", std::string(sample ? draw.one_of<const char*>({"cdf", "ats"}) : by_threshold ? "threshold" : "bipartite")},
             {"rank", std::string(draw.one_of<const char*>({"importance", "importance_distance"}))},
             {"pad", int64_t{pad}}},
            encoder_inputs(std::move(inputs), block_inputs(mlp, "fc1", "fc2", type),
                           counted ? integers("count", {}, draw.integers(1, 0, tokens - static_cast<size_t>(prefix))) : Argument{},
                           !by_threshold ? Argument{} : type == kHalf ? halves("threshold", {}, above) : floats("threshold", {}, above)),
            {{"y", type},
             {at(scored, "scores"), type},
             {at(true, "projection"), type},
             {at(!none && !merge, "index"), kInt64},
             {at(sized, "kept_size"), type},
             {at(merge, "group"), kInt64},
             {at(sample || merge, "kept_count"), kInt64}}};
  add_range(draw, "qkv", attention.first, call.attributes);
  add_range(draw, "proj", attention.last, call.attributes);
  add_range(draw, "fc1", mlp.first, call.attributes);
  add_range(draw, "fc2", mlp.last, call.attributes);
  return call;
}

}  // namespace coppice::fuzz
