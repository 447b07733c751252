#include <algorithm>
#include <cmath>

#include "pruning.h"
#include "target.h"

namespace coppice::fuzz {

// Its reference knows numbers of ordinary size, and nothing is asked where rounding decides.
void kernels(Draw& draw) {
  const bool tame = draw.flag();
  const auto values = [&](size_t count) { return tame ? draw.even(count, 2) : draw.floats(count); };
  PruneProblem p{draw.number(0, draw.number(0, 7) ? 20 : 140), 0, draw.number(1, draw.number(0, 7) ? 9 : 70), 0};
  p.prefix = draw.number(0, std::min<size_t>(p.tokens, 3));
  p.count = draw.number(0, p.patches());
  p.merged = p.count > 0 ? draw.number(0, p.patches() - p.count) : 0;
  p.by_distance = draw.flag();
  p.scores = values(p.tokens);
  for (float& score : p.scores) score = tame ? std::abs(score) : score;
  p.x = values(p.tokens * p.width);
  if (draw.flag()) {
    p.size = values(p.tokens);
    for (float& size : p.size) size = tame ? std::floor(std::abs(size) * 4) : size;
  }
  const size_t tile = draw.number(1, kSourceTile);
  const PrunedReference expected = tame ? prune_reference(p) : PrunedReference{{}, {}, {}, 0};
  for (const Kernels* body : bodies()) {
    const Pruned found = run_prune(merge_kernels(body->isa), p, tile);
    EXPECT_EQ(found.index.size(), p.prefix + p.count);
    EXPECT_TRUE(std::is_sorted(found.index.begin(), found.index.end()) && (found.index.empty() || found.index.back() < static_cast<int64_t>(p.tokens)));
    if (expected.margin > 1) {
      EXPECT_TRUE(right(found, expected)) << body->isa;
    }
  }
}

Node node(Draw& draw, ONNXTensorElementDataType type) {
  const auto prefix = static_cast<int64_t>(draw.number(0, 3)), patches = static_cast<int64_t>(draw.number(0, 40)), tokens = prefix + patches;
  const auto batch = static_cast<int64_t>(draw.number(0, 2)), width = static_cast<int64_t>(draw.number(1, 9));
  const auto count = static_cast<int64_t>(draw.number(0, static_cast<size_t>(patches)));
  return {"PruneMergeTokens",
          {{"prefix_tokens", prefix},
           {"merge_share", draw.one_of<float>({0, 0.3f, 0.5f, 1})},
           {"rank", std::string(draw.one_of<const char*>({"importance", "importance_distance"}))}},
          {tensor(draw, "scores", {batch, tokens}, type),
           integers("count", draw.flag() ? std::vector<int64_t>{} : std::vector<int64_t>{1}, {count}),
           tensor(draw, "x", {batch, tokens, width}, type), at_times(draw, [&] { return tensor(draw, "size", {batch, tokens}, type); })},
          {{"index", kInt64}, {draw.flag() ? "y" : "", type}, {draw.flag() ? "merged_size" : "", type}}};
}

}  // namespace coppice::fuzz
