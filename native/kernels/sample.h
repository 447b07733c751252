// Sampling of patch tokens along the cumulative sum of their scores. One batch item, any processor.
//
// Weights, in double: a score above 0 weighs itself; 0, a negative score and NaN weigh 0. Where scores are +inf, those weigh
// 1 and all others 0; where no patch weighs anything, each weighs 1. Sums run over rising token numbers (kCdf) or over
// rising weights, equal ones by token number (kAts), so every processor keeps the same tokens.
#pragma once

#include <cstddef>
#include <cstdint>

namespace coppice {

enum class SampleRule {
  // Token i is kept iff floor(R c_i - 1/2) is above that of every token before it and not negative; c_i: share of the
  // weights up to token i. It is the token in which the points (2k-1)/(2R), k = 1..R, fall on the c axis.
  kCdf,
  // Weights sorted ascending, their running sum scaled to 0..1; R points from its smallest positive value to 1 at equal
  // distances; each keeps the token whose sum is nearest (the first of equally near ones). A lone patch is kept.
  kAts,
};

// index[0..prefix+r) = 0..prefix-1, then the r <= min(count, tokens - prefix) sampled tokens, ascending; returns prefix + r.
// order, sums: scratch [tokens - prefix] of kAts, unused by kCdf. Requires prefix <= tokens.
size_t sample_tokens(const float* scores, size_t tokens, size_t prefix, size_t count, SampleRule rule, int64_t* index, uint32_t* order,
                     double* sums);

}  // namespace coppice
