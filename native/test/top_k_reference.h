// Selection and fusion from their definitions: a full sort, sums in double.
#pragma once

#include <cstdint>

#include "closeness.h"

namespace coppice::test {

// The prefix and the `count` best of the other tokens, ascending; NaN last, equal scores in order.
std::vector<int64_t> selection_reference(const std::vector<float>& scores, size_t prefix, size_t count);
// [width]: the sum (mean: the mean) of x's rows that index does not name, weighted by their scores; plain where all of those are 0.
Expected fused_reference(const std::vector<float>& scores, const std::vector<float>& x, size_t width, const std::vector<int64_t>& index,
                         bool mean);
// The sum of sizes that index does not name.
Expected pruned_size_reference(const std::vector<float>& size, const std::vector<int64_t>& index);

}  // namespace coppice::test
