#include "guarded.h"
#include "target.h"
#include "top_k.h"
#include "top_k_reference.h"

namespace coppice::fuzz {

void kernels(Draw& draw) {
  const size_t prefix = draw.number(0, 3), patches = draw.number(0, draw.number(0, 3) ? 40 : 400), tokens = prefix + patches;
  const size_t count = draw.number(0, patches), width = draw.number(0, 9);
  const bool mean = draw.flag();
  const Guarded<float> scores(draw.floats(tokens)), x(draw.floats(tokens * width)), size(draw.floats(tokens));

  Guarded<int64_t> index(prefix + count);
  Guarded<uint32_t> order(patches);
  top_k_tokens(scores.data(), tokens, prefix, count, index.data(), order.data());
  EXPECT_TRUE(index.untouched_before() && order.untouched_before());
  EXPECT_EQ(index.values(), selection_reference(scores.values(), prefix, count));

  Guarded<float> kept(index.size() * width), fused(width);
  gather_rows(x.data(), width, index.data(), index.size(), kept.data());
  EXPECT_TRUE(kept.untouched_before());
  for (size_t i = 0; i < kept.size(); ++i) {
    const float from = x[static_cast<size_t>(index[i / width]) * width + i % width];
    EXPECT_TRUE(kept[i] == from || (std::isnan(kept[i]) && std::isnan(from)));
  }
  if (count == patches) return;
  fuse_pruned(scores.data(), x.data(), tokens, width, index.data(), index.size(), mean, fused.data());
  EXPECT_TRUE(fused.untouched_before());
  EXPECT_TRUE(close(fused.values(), fused_reference(scores.values(), x.values(), width, index.values(), mean)));
  EXPECT_TRUE(close({pruned_size(size.data(), tokens, index.data(), index.size())}, pruned_size_reference(size.values(), index.values())));
}

Node node(Draw& draw, ONNXTensorElementDataType type) {
  const auto prefix = static_cast<int64_t>(draw.number(0, 3)), patches = static_cast<int64_t>(draw.number(0, 40)), tokens = prefix + patches;
  const auto batch = static_cast<int64_t>(draw.number(0, 2)), width = static_cast<int64_t>(draw.number(0, 9));
  const auto count = static_cast<int64_t>(draw.number(0, static_cast<size_t>(patches)));
  const bool with_x = draw.flag(), with_size = draw.flag();
  return {"TopKTokens",
          {{"prefix_tokens", prefix}, {"fuse_pruned", draw.one_of<int64_t>({0, 1})}, {"normalize_fused", draw.one_of<int64_t>({0, 1})}},
          {tensor(draw, "scores", {batch, tokens}, type),
           integers("count", draw.flag() ? std::vector<int64_t>{} : std::vector<int64_t>{1}, {count}),
           with_x ? tensor(draw, "x", {batch, tokens, width}, type) : Argument{},
           with_size ? tensor(draw, "size", {batch, tokens}, type) : Argument{}},
          {{"index", kInt64}, {with_x && draw.flag() ? "y" : "", type}, {with_size && draw.flag() ? "kept_size" : "", type}}};
}

}  // namespace coppice::fuzz
