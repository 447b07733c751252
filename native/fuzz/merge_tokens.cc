#include <algorithm>

#include "reduction.h"
#include "target.h"

namespace coppice::fuzz {

// Its references know numbers of ordinary size: with any others the kernels run, and nothing is asked of what they find.
void kernels(Draw& draw) {
  const bool tame = draw.flag();
  const auto values = [&](size_t count) { return tame ? draw.even(count, 2) : draw.floats(count); };
  MergeProblem p{draw.number(0, draw.number(0, 7) ? 20 : 140), 0, draw.number(1, draw.number(0, 7) ? 9 : 70), {}};
  p.prefix = draw.number(0, std::min<size_t>(p.tokens, 3));
  p.packed = draw.flag();
  p.parts = p.packed ? draw.number(1, 3) : 1;
  p.width = draw.number(0, 20);
  p.metric = values(p.tokens * p.row());
  p.x = values(p.tokens * p.width);
  if (draw.flag()) {
    p.size = values(p.tokens);
    for (float& size : p.size) size = tame ? std::floor(std::abs(size) * 4) : size;
  }
  p.order = draw.one_of({MergeOrder::kTome, MergeOrder::kRaster});
  const size_t most = most_merges(p.described(p.metric.data())), count = draw.number(0, most), tile = draw.number(1, kSourceTile);
  for (const Kernels* body : bodies()) {
    const MergeKernels& merge = merge_kernels(body->isa);
    if (most > 0) {
      const Matches matches = run_matches(merge, p, tile);
      if (tame) EXPECT_TRUE(right(p, matches)) << body->isa;
    }
    const Merged merged = run_merge(merge, p, most > 0 ? count : 0);
    EXPECT_EQ(merged.rows, p.tokens - count);
    for (const int64_t row : merged.group) EXPECT_TRUE(row >= 0 && row < static_cast<int64_t>(merged.rows));
    if (tame) EXPECT_TRUE(close(merged.y, merged_reference(p, merged.group, merged.rows))) << body->isa;
  }
}

Node node(Draw& draw, ONNXTensorElementDataType type) {
  const bool by_threshold = draw.flag(), pad = draw.flag();
  const auto heads = draw.one_of<int64_t>({0, 1, 3}), tokens = static_cast<int64_t>(draw.number(0, 40)), width = static_cast<int64_t>(draw.number(0, 9));
  const auto batch = static_cast<int64_t>(draw.number(0, by_threshold && !pad ? 1 : 2));
  const std::vector<float> threshold = draw.even(1);
  const bool counted = !by_threshold || draw.flag();
  return {"MergeTokens",
          {{"prefix_tokens", draw.one_of<int64_t>({0, std::min<int64_t>(tokens, 2)})},
           {"num_heads", heads},
           {"rule", std::string(by_threshold ? "threshold" : "bipartite")},
           {"order", std::string(draw.one_of<const char*>({"tome", "raster"}))},
           {"pad", int64_t{pad}}},
          {tensor(draw, "x", {batch, tokens, width}, type), tensor(draw, "metric", {batch, tokens, heads > 0 ? 3 * heads * 4 : 7}, type),
           counted ? integers("count", {}, draw.integers(1, 0, 60)) : Argument{},
           at_times(draw, [&] { return tensor(draw, "size", {batch, tokens}, type); }),
           !by_threshold ? Argument{} : type == kHalf ? halves("threshold", {}, threshold) : floats("threshold", {}, threshold)},
          {{"y", type}, {draw.flag() ? "merged_size" : "", type}, {draw.flag() ? "group" : "", kInt64}, {draw.flag() ? "kept_count" : "", kInt64}}};
}

}  // namespace coppice::fuzz
