#include "prune_merge_tokens.h"

#include <algorithm>

#include "../kernels/prune_merge.h"
#include "../kernels/top_k.h"
#include "matching.h"

namespace coppice {

PruneMergeTokens::PruneMergeTokens(const Ort::ConstKernelInfo& info) {
  prefix_ = prefix_attribute(info);
  share_ = float_attribute(info, "merge_share", 0.5f);
  if (!(share_ >= 0 && share_ <= 1)) refuse("attribute merge_share must be 0..1, found " + std::to_string(share_) + ".");
  by_distance_ = choice_attribute(info, "rank", {"importance", "importance_distance"}) == 1;
}

void PruneMergeTokens::compute(Ort::KernelContext& context) {
  const Scored s(context, prefix_);
  const size_t count = s.kept_patches(context, 1);
  const std::optional<Input> size = optional(context, 3, "size", "B,N");
  if (size) expect_shape(*size, "size", s.scores.shape, "to match scores");
  if (s.x->size(2) == 0) refuse("input x must have at least one feature, found " + shape_text(s.x->shape) + ".");
  select(context, s, count, size, {1, 0, 2});
}

FloatOutput PruneMergeTokens::select(Ort::KernelContext& context, const Scored& s, size_t count, const std::optional<Input>& size,
                                     const SelectionOutputs& outputs) {
  const MergeKernels& kernels = merge_kernels(kernels_in_use().isa);
  const size_t batch = s.batch, tokens = s.tokens, patches = s.patches(), width = s.x->size(2), gone = patches - count;
  const size_t merged = count > 0 ? merged_count(share_, gone) : 0, item = patches * width;
  const auto x_of = [&](size_t b) { return s.x->floats() + b * tokens * width; };

  std::vector<int64_t> order(batch * patches);
  for (size_t b = 0; b < batch; ++b) rank_tokens(s.item(b), tokens, prefix_, order.data() + b * patches);
  std::vector<float> similarity(gone > 0 ? batch * patches : 0);
  std::vector<uint32_t> partner(similarity.size());
  // What is compared, side by side and in the order of the comparison.
  Scratch scratch(allocator_, gone > 0 ? batch * item : 0);
  float* compared = scratch.take(gone > 0 ? batch * item : 0);
  const auto gather = [&](size_t rows) {
    parallel(context, batch, [&](size_t b, size_t) { gather_rows(x_of(b), width, order.data() + b * patches, rows, compared + b * item); });
  };
  if (by_distance_ && gone > 0) {
    const Places all{0, 1, patches};
    gather(patches);
    find_partners(context, allocator_, kernels, {compared, width, 1, width, all, all, true}, batch, item, similarity.data(), partner.data());
    std::vector<float> values(tokens);
    for (size_t b = 0; b < batch; ++b) {
      int64_t* ranked = order.data() + b * patches;
      weigh_by_distance(s.item(b), tokens, prefix_, ranked, similarity.data() + b * patches, values.data());
      rank_tokens(values.data(), tokens, prefix_, ranked);
    }
  }
  for (size_t b = 0; b < batch; ++b) {
    const auto kept = order.begin() + static_cast<std::ptrdiff_t>(b * patches), source = kept + static_cast<std::ptrdiff_t>(count);
    std::sort(kept, source);
    std::sort(source, source + static_cast<std::ptrdiff_t>(merged));
  }
  if (merged > 0) {
    gather(count + merged);
    const Match match{compared, width, 1, width, {count, 1, merged}, {0, 1, count}, false};
    find_partners(context, allocator_, kernels, match, batch, item, similarity.data(), partner.data());
  }

  const size_t rows = prefix_ + count;
  const int64_t row_axis = static_cast<int64_t>(rows);
  int64_t* const index = integer_output(context, outputs.index, {s.scores.shape[0], row_axis});
  FloatOutput averaged(context, outputs.y, {s.scores.shape[0], row_axis, s.x->shape[2]});
  const FloatOutput summed(context, outputs.size, {s.scores.shape[0], row_axis});
  std::vector<uint32_t> first(batch * rows), next(batch * tokens);
  const auto plan = [&](size_t b) { return MergePlan{first.data() + b * rows, next.data() + b * tokens, nullptr}; };
  for (size_t b = 0; b < batch; ++b) {
    const int64_t* kept = order.data() + b * patches;
    const PruneMerge merge{tokens, prefix_, kept, count, kept + count, merged, similarity.data() + b * merged, partner.data() + b * merged};
    plan_prune_merge(merge, plan(b));
    if (index) std::copy(first.begin() + static_cast<std::ptrdiff_t>(b * rows), first.begin() + static_cast<std::ptrdiff_t>((b + 1) * rows), index + b * rows);
    if (summed.data()) prune_merge_sizes(merge, size ? size->floats() + b * tokens : nullptr, summed.data() + b * rows);
  }
  if (averaged.data() == nullptr) return averaged;
  std::vector<float> members(batch * rows);
  const size_t tiles = (rows + kAverageTile - 1) / kAverageTile;
  parallel(context, batch * tiles, [&](size_t task, size_t) {
    const size_t b = task / tiles, begin = task % tiles * kAverageTile, end = std::min(begin + kAverageTile, rows);
    kernels.average_rows(plan(b), x_of(b), width, nullptr, begin, end, averaged.data() + b * rows * width, members.data() + b * rows);
  });
  return averaged;
}

}  // namespace coppice
