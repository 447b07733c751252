// Linear layers: problems, the packing of their weights, the way a caller drives the kernels, and the definition in double.
#pragma once

#include <vector>

#include "closeness.h"
#include "linear.h"

namespace coppice::test {

struct LinearProblem {
  WeightType type;
  size_t rows, depth, columns;
  std::vector<float> x;         // [rows, depth]
  std::vector<float> w;         // [depth, columns], as the type can hold them; int8: -127..127
  std::vector<float> scale;     // [columns], int8 only
  std::vector<float> bias;      // [columns] or empty
  std::vector<float> residual;  // [rows, columns] or empty
  Activation activation = Activation::kNone;
  float low = 0, high = 0;  // the layer's range; int8 only

  // The layer's weight of an input and a column.
  double weight(size_t k, size_t n) const { return static_cast<double>(w[k * columns + n]) * (scale.empty() ? 1 : static_cast<double>(scale[n])); }
};

LinearProblem random_linear(WeightType type, size_t rows, size_t depth, size_t columns, unsigned seed);

// The weights in panels, byte for byte as linear.h wants them.
std::vector<char> packed_weights(const LinearProblem& problem);
std::vector<int32_t> weight_sums(const LinearProblem& problem);

// [rows, columns], from memory between guard pages; x and y have rows longer than their width by `gap`. `in_place`: y takes the place of
// the residual.
std::vector<float> run_linear_layer(const LinearKernels& kernels, const LinearProblem& problem, size_t gap = 0, bool in_place = false);
// Of an int8 layer the input is quantised by the rule, in float32; `quantised` false: left as it is.
Expected linear_layer_reference(const LinearProblem& problem, bool quantised = true);

struct NormProblem {
  size_t rows, width;
  std::vector<float> x, weight, bias;
  float epsilon = 1e-6f;
};
std::vector<float> run_layer_norm(const LinearKernels& kernels, const NormProblem& problem);
Expected layer_norm_reference(const NormProblem& problem);

}  // namespace coppice::test
