#include "merge.h"

#include <algorithm>

#include "table_for.h"
#include "top_k.h"

namespace coppice {
namespace {

size_t every_second(size_t first, size_t tokens) { return tokens > first ? (tokens - first + 1) / 2 : 0; }

}  // namespace

size_t Merge::source_token(size_t source) const { return prefix + prefix % 2 + 2 * source; }
size_t Merge::target_token(size_t target) const { return prefix + 1 - prefix % 2 + 2 * target; }
size_t Merge::sources() const { return every_second(source_token(0), tokens); }
size_t Merge::targets() const { return every_second(target_token(0), tokens); }
Match Merge::match() const {
  return {metric, metric_row, parts, dim, {source_token(0), 2, sources()}, {target_token(0), 2, targets()}, false};
}

const MergeKernels& merge_kernels(const char* isa) {
#if defined(__x86_64__)
  return table_for(isa, {&scalar::kMergeKernels, &avx2::kMergeKernels, &avx512::kMergeKernels});
#else
  return table_for(isa, {&scalar::kMergeKernels, &neon::kMergeKernels});
#endif
}

size_t most_merges(const Merge& merge) { return (merge.tokens - merge.prefix) / 2; }

size_t count_similar(const float* similarity, size_t sources, float threshold) {
  return static_cast<size_t>(std::count_if(similarity, similarity + sources, [=](float value) { return value > threshold; }));
}

size_t plan_merge(const Merge& merge, const float* similarity, const uint32_t* partner, size_t count, MergeOrder row_order, int64_t* merged,
                  uint32_t* order, const MergePlan& plan) {
  top_k_tokens(similarity, merge.sources(), 0, count, merged, order);
  constexpr int64_t kMoved = -1;
  std::fill(plan.next, plan.next + merge.tokens, kNoToken);
  std::fill(plan.group, plan.group + merge.tokens, 0);
  // From the last source to the first, each right after its target: chains come out ascending.
  for (size_t i = count; i-- > 0;) {
    const size_t source = merge.source_token(static_cast<size_t>(merged[i]));
    const size_t target = merge.target_token(partner[merged[i]]);
    plan.next[source] = plan.next[target];
    plan.next[target] = static_cast<uint32_t>(source);
    plan.group[source] = kMoved;
  }

  size_t rows = 0;
  const auto stay = [&](size_t begin, size_t step) {
    for (size_t token = begin; token < merge.tokens; token += step) {
      if (plan.group[token] == kMoved) continue;
      plan.group[token] = static_cast<int64_t>(rows);
      plan.first[rows++] = static_cast<uint32_t>(token);
    }
  };
  if (row_order == MergeOrder::kRaster || count == 0) {
    stay(0, 1);
  } else {
    for (size_t token = 0; token < merge.prefix; ++token) {
      plan.group[token] = static_cast<int64_t>(rows);
      plan.first[rows++] = static_cast<uint32_t>(token);
    }
    stay(merge.source_token(0), 2);
    stay(merge.target_token(0), 2);
  }
  for (size_t i = 0; i < count; ++i) {
    plan.group[merge.source_token(static_cast<size_t>(merged[i]))] = plan.group[merge.target_token(partner[merged[i]])];
  }
  return rows;
}

}  // namespace coppice
