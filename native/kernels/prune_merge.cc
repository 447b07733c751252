#include "prune_merge.h"

#include <algorithm>
#include <cmath>

namespace coppice {

size_t merged_count(float share, size_t gone) {
  return static_cast<size_t>(std::floor(static_cast<double>(share) * static_cast<double>(gone) + 0.5));
}

void weigh_by_distance(const float* scores, size_t tokens, size_t prefix, const int64_t* order, const float* similarity, float* values) {
  std::copy(scores, scores + tokens, values);
  for (size_t place = 0; place < tokens - prefix; ++place) {
    const float nearest = place == 0 ? -1 : similarity[place];
    values[order[place]] *= nearest > 1 ? 0 : 1 - nearest;
  }
}

void plan_prune_merge(const PruneMerge& merge, const MergePlan& plan) {
  for (size_t token = 0; token < merge.prefix; ++token) plan.first[token] = static_cast<uint32_t>(token);
  std::copy(merge.kept, merge.kept + merge.kept_count, plan.first + merge.prefix);
  std::fill(plan.next, plan.next + merge.tokens, kNoToken);
  // From the last source to the first, each right after its target: chains come out ascending.
  for (size_t i = merge.source_count; i-- > 0;) {
    const int64_t target = merge.kept[merge.partner[i]];
    plan.next[merge.sources[i]] = plan.next[target];
    plan.next[target] = static_cast<uint32_t>(merge.sources[i]);
  }
}

void prune_merge_sizes(const PruneMerge& merge, const float* size, float* merged_size) {
  const auto of = [size](size_t token) { return size ? size[token] : 1; };
  for (size_t token = 0; token < merge.prefix; ++token) merged_size[token] = of(token);
  for (size_t i = 0; i < merge.kept_count; ++i) merged_size[merge.prefix + i] = of(static_cast<size_t>(merge.kept[i]));
  for (size_t i = 0; i < merge.source_count; ++i) {
    const float similarity = merge.similarity[i];
    if (similarity > 0) merged_size[merge.prefix + merge.partner[i]] += of(static_cast<size_t>(merge.sources[i])) * similarity;
  }
}

}  // namespace coppice
