// Selection of the best patch tokens, and the token that stands for the pruned ones. One batch item, any processor.
#pragma once

#include <cstddef>
#include <cstdint>

namespace coppice {

// index[prefix + count] = 0..prefix-1, then the `count` tokens from prefix on with the highest scores, ascending.
// Equal scores: the lower token wins. NaN scores rank below all others, -inf included. order: scratch [tokens - prefix].
// Requires prefix <= tokens and count <= tokens - prefix.
void top_k_tokens(const float* scores, size_t tokens, size_t prefix, size_t count, int64_t* index, uint32_t* order);

// order[tokens - prefix]: the tokens from prefix on, the highest score first; ties and NaN as above.
void rank_tokens(const float* scores, size_t tokens, size_t prefix, int64_t* order);

// y[index_length, width] = the rows of x[tokens, width] that index names.
void gather_rows(const float* x, size_t width, const int64_t* index, size_t index_length, float* y);

// y[width] = sum of scores[i] x[i] over the tokens that index does not name; with `mean`, divided by the sum of those
// scores (the plain mean where that sum is 0). index is ascending and names every prefix token.
void fuse_pruned(const float* scores, const float* x, size_t tokens, size_t width, const int64_t* index, size_t index_length, bool mean,
                 float* y);

// Sum of size over the tokens that index does not name.
float pruned_size(const float* size, size_t tokens, const int64_t* index, size_t index_length);

}  // namespace coppice
