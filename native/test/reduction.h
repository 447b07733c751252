// Merging problems, the way a caller drives the kernels through them, and their definitions in double.
#pragma once

#include <vector>

#include "closeness.h"
#include "guarded.h"
#include "merge.h"
#include "patch_merger.h"
#include "problem.h"

namespace coppice::test {

struct MergeProblem {
  size_t tokens, prefix, dim;
  std::vector<float> metric;  // [tokens, parts * dim], or the keys inside [tokens, 3 * parts * dim] where `packed`
  size_t parts = 1;
  bool packed = false;
  size_t width = 5;
  std::vector<float> x = {};     // [tokens, width]
  std::vector<float> size = {};  // empty: 1 each
  MergeOrder order = MergeOrder::kTome;

  size_t row() const { return (packed ? 3 : 1) * parts * dim; }
  // Part p, feature i of a token's metric.
  float& m(size_t token, size_t i, size_t p = 0) { return metric[token * row() + (packed ? parts * dim : 0) + p * dim + i]; }
  float m(size_t token, size_t i, size_t p = 0) const { return const_cast<MergeProblem*>(this)->m(token, i, p); }
  Merge described(const float* data) const { return {packed && tokens > 0 ? data + parts * dim : data, row(), parts, dim, tokens, prefix}; }
};

MergeProblem random_merge(size_t tokens, size_t prefix, size_t dim, unsigned seed, size_t packed_parts = 0);

struct Matches {
  std::vector<float> similarity;  // [sources]
  std::vector<uint32_t> partner;
};

struct Merged {
  std::vector<float> y, size;
  std::vector<int64_t> group;
  size_t rows;
};

Matches run_matches(const MergeKernels& kernels, const Match& match, size_t tile = kSourceTile);
Matches run_matches(const MergeKernels& kernels, const MergeProblem& problem, size_t tile = kSourceTile);
Merged run_merge(const MergeKernels& kernels, const MergeProblem& problem, size_t count);

// A source's cosine with one target (NaN where either is not a number) and the rounding error a float32 result may have.
struct Cosine {
  double value, bound;
};
Cosine cosine(const MergeProblem& problem, size_t source, size_t target);
// Whether each source found a target as similar as its best, within rounding, and its similarity.
testing::AssertionResult right(const MergeProblem& problem, const Matches& found);
// y and sizes of groups that are given: means over every token, by the definition.
Expected merged_reference(const MergeProblem& problem, const std::vector<int64_t>& group, size_t rows);
std::vector<float> merged_sizes(const MergeProblem& problem, const std::vector<int64_t>& group, size_t rows);

struct MixProblem {
  size_t tokens, width, outputs;
  std::vector<float> x, w;         // [tokens, width], [width, outputs]
  std::vector<float> gamma, beta;  // [width] or empty
  float scale = 1, eps = 1e-5f;
  bool over_outputs = false, layer_norm = false;
};

MixProblem random_mix(size_t tokens, size_t width, size_t outputs, unsigned seed);
// [outputs, width], in calls of that many tokens and features.
std::vector<float> run_mix(const PatchMergerKernels& kernels, const MixProblem& problem, size_t token_tile = kTokenTile, size_t mix_tile = kMixTile);
Expected mix_reference(const MixProblem& problem);

}  // namespace coppice::test
