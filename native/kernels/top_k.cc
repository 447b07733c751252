#include "top_k.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace coppice {
namespace {

template <class Visit>
void for_each_pruned(size_t tokens, const int64_t* index, size_t index_length, Visit visit) {
  size_t next = 0;
  for (size_t token = 0; token < tokens; ++token) {
    if (next < index_length && index[next] == static_cast<int64_t>(token)) {
      ++next;
    } else {
      visit(token);
    }
  }
}

// A strict weak ordering even with NaN: numbers before NaN, then by score, then by position.
struct Better {
  const float* scores;
  template <class Token>
  bool operator()(Token a, Token b) const {
    const float x = scores[a], y = scores[b];
    const bool x_nan = x != x, y_nan = y != y;
    if (x_nan != y_nan) return y_nan;
    return x_nan || x == y ? a < b : x > y;
  }
};

}  // namespace

void top_k_tokens(const float* scores, size_t tokens, size_t prefix, size_t count, int64_t* index, uint32_t* order) {
  const size_t patches = tokens - prefix;
  for (size_t i = 0; i < prefix; ++i) index[i] = static_cast<int64_t>(i);
  for (size_t i = 0; i < patches; ++i) order[i] = static_cast<uint32_t>(prefix + i);
  if (count < patches) {
    std::nth_element(order, order + count, order + patches, Better{scores});
    std::sort(order, order + count);
  }
  for (size_t i = 0; i < count; ++i) index[prefix + i] = order[i];
}

void rank_tokens(const float* scores, size_t tokens, size_t prefix, int64_t* order) {
  std::iota(order, order + (tokens - prefix), static_cast<int64_t>(prefix));
  std::sort(order, order + (tokens - prefix), Better{scores});
}

void gather_rows(const float* x, size_t width, const int64_t* index, size_t index_length, float* y) {
  for (size_t i = 0; i < index_length; ++i) std::memcpy(y + i * width, x + index[i] * width, width * sizeof(float));
}

void fuse_pruned(const float* scores, const float* x, size_t tokens, size_t width, const int64_t* index, size_t index_length, bool mean,
                 float* y) {
  float total = 0;
  for_each_pruned(tokens, index, index_length, [&](size_t token) { total += scores[token]; });
  const bool plain = mean && total == 0;
  const float scale = !mean ? 1.0f : 1.0f / (plain ? static_cast<float>(tokens - index_length) : total);
  std::fill(y, y + width, 0.0f);
  for_each_pruned(tokens, index, index_length, [&](size_t token) {
    const float weight = plain ? scale : scores[token] * scale;
    for (size_t i = 0; i < width; ++i) y[i] += weight * x[token * width + i];
  });
}

float pruned_size(const float* size, size_t tokens, const int64_t* index, size_t index_length) {
  float total = 0;
  for_each_pruned(tokens, index, index_length, [&](size_t token) { total += size[token]; });
  return total;
}

}  // namespace coppice
