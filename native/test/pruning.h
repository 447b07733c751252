// Pruning with merging, driven through the kernels as a caller does, and its definition in double.
#pragma once

#include <vector>

#include "prune_merge.h"
#include "reduction.h"

namespace coppice::test {

struct PruneProblem {
  size_t tokens, prefix, width, count;
  size_t merged = 0;
  bool by_distance = false;
  std::vector<float> scores = {};  // [tokens]
  std::vector<float> x = {};       // [tokens, width]
  std::vector<float> size = {};    // empty: 1 each

  size_t patches() const { return tokens - prefix; }
};

// Scores above 0 and sizes from 1 to 4; half of the patches stay, and of the others two thirds merge.
PruneProblem random_prune(size_t tokens, size_t prefix, size_t width, unsigned seed, bool by_distance);

struct Pruned {
  std::vector<int64_t> index;  // the tokens that stay, prefix first
  std::vector<float> y, size;
};

Pruned run_prune(const MergeKernels& kernels, const PruneProblem& problem, size_t tile = kSourceTile);

// What each row is, by the definition. `margin`: the closest decision's distance from the other way, in rounding errors that a
// float32 result may have; below 1 rounding decides.
struct PrunedReference {
  std::vector<int64_t> index;
  Expected y, size;
  double margin;
};
PrunedReference prune_reference(const PruneProblem& problem);

testing::AssertionResult right(const Pruned& found, const PrunedReference& expected);

}  // namespace coppice::test
