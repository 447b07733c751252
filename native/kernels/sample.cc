#include "sample.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace coppice {
namespace {

class Weights {
 public:
  Weights(const float* scores, size_t begin, size_t end) : scores_(scores) {
    for (size_t i = begin; i < end; ++i) {
      infinite_ = infinite_ || (std::isinf(scores[i]) && scores[i] > 0);
      plain_ = plain_ && !(scores[i] > 0);
    }
  }

  double operator[](size_t token) const {
    const float score = scores_[token];
    if (plain_) return 1;
    if (infinite_) return std::isinf(score) && score > 0 ? 1 : 0;
    return score > 0 ? score : 0;
  }

 private:
  const float* scores_;
  bool infinite_ = false, plain_ = true;
};

size_t sample_cdf(const Weights& weights, size_t tokens, size_t prefix, double count, int64_t* index) {
  double total = 0;
  for (size_t i = prefix; i < tokens; ++i) total += weights[i];
  double sum = 0, last = -1;
  size_t kept = prefix;
  for (size_t i = prefix; i < tokens; ++i) {
    sum += weights[i];
    // In this order no compiler can fuse the product into the subtraction, which would round differently.
    const double bin = std::floor(count * sum / total - 0.5);
    if (bin <= last) continue;
    last = bin;
    index[kept++] = static_cast<int64_t>(i);
  }
  return kept;
}

size_t sample_ats(const Weights& weights, size_t tokens, size_t prefix, size_t count, int64_t* index, uint32_t* order, double* sums) {
  const size_t patches = tokens - prefix;
  std::iota(order, order + patches, static_cast<uint32_t>(prefix));
  // Not std::stable_sort, which takes memory.
  std::sort(order, order + patches, [&](uint32_t a, uint32_t b) {
    const double x = weights[a], y = weights[b];
    return x == y ? a < b : x < y;
  });
  double sum = 0;
  for (size_t i = 0; i < patches; ++i) sums[i] = sum += weights[order[i]];
  const double low = sums[0], range = sums[patches - 1] - low;
  for (size_t i = 0; i < patches; ++i) sums[i] = range > 0 ? (sums[i] - low) / range : 1;
  const double start = *std::upper_bound(sums, sums + patches, 0.0);
  const double step = count > 1 ? (1 - start) / static_cast<double>(count - 1) : 0;
  size_t kept = prefix;
  for (size_t k = 0; k < count; ++k) {
    const double offset = static_cast<double>(k) * step;
    const double point = start + offset;
    const double* const above = std::min(std::lower_bound(sums, sums + patches, point), sums + patches - 1);
    const double nearest = above > sums && point - above[-1] <= std::abs(*above - point) ? above[-1] : *above;
    const auto token = static_cast<int64_t>(order[std::lower_bound(sums, sums + patches, nearest) - sums]);
    // Points rise and so do the nearest sums: a token is sampled again only by the next point.
    if (kept == prefix || index[kept - 1] != token) index[kept++] = token;
  }
  std::sort(index + prefix, index + kept);
  return kept;
}

}  // namespace

size_t sample_tokens(const float* scores, size_t tokens, size_t prefix, size_t count, SampleRule rule, int64_t* index, uint32_t* order,
                     double* sums) {
  for (size_t i = 0; i < prefix; ++i) index[i] = static_cast<int64_t>(i);
  if (count == 0 || prefix == tokens) return prefix;
  const Weights weights(scores, prefix, tokens);
  return rule == SampleRule::kCdf ? sample_cdf(weights, tokens, prefix, static_cast<double>(count), index)
                                  : sample_ats(weights, tokens, prefix, count, index, order, sums);
}

}  // namespace coppice
