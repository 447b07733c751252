#pragma once

#include "operator.h"

namespace coppice {

// Mixes all tokens into a fixed number of them; contract in docs/reference/operators.md.
class PatchMerger {
 public:
  static constexpr const char* kName = "PatchMerger";
  static constexpr Port kInputs[] = {{"x", kFloat, false}, {"w", kFloat, false}, {"gamma", kFloat, true}, {"beta", kFloat, true}};
  static constexpr Port kOutputs[] = {{"y", kFloat, false}};

  explicit PatchMerger(const Ort::ConstKernelInfo& info);
  void compute(Ort::KernelContext& context);

 private:
  size_t prefix_;
  bool over_outputs_;
  float scale_;  // 0: 1 / sqrt(width)
  bool layer_norm_;
  float eps_;
  Ort::AllocatorWithDefaultOptions allocator_;
};

}  // namespace coppice
