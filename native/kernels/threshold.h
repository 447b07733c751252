// Selection of the patch tokens above a threshold. One batch item, any processor.
#pragma once

#include <cstddef>
#include <cstdint>

namespace coppice {

// index[0..prefix+k) = 0..prefix-1, then the patch tokens whose score is above the threshold, ascending; returns prefix + k.
// Where fewer than `least` pass, the best `least` (at most all) are kept in the order of top_k_tokens. A NaN score never
// passes, nor does any with a NaN threshold. order: scratch [tokens - prefix]. Requires prefix <= tokens.
size_t threshold_tokens(const float* scores, size_t tokens, size_t prefix, float threshold, size_t least, int64_t* index, uint32_t* order);

}  // namespace coppice
