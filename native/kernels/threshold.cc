#include "threshold.h"

#include <algorithm>

#include "top_k.h"

namespace coppice {

size_t threshold_tokens(const float* scores, size_t tokens, size_t prefix, float threshold, size_t least, int64_t* index, uint32_t* order) {
  const auto passing = static_cast<size_t>(std::count_if(scores + prefix, scores + tokens, [=](float score) { return score > threshold; }));
  // Those that pass are the best `passing`.
  const size_t count = std::max(passing, std::min(least, tokens - prefix));
  top_k_tokens(scores, tokens, prefix, count, index, order);
  return prefix + count;
}

}  // namespace coppice
