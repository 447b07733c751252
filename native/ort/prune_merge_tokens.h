#pragma once

#include "selection.h"

namespace coppice {

// Keeps the best patch tokens and merges the next best into them; contract in docs/reference/operators.md.
class PruneMergeTokens {
 public:
  static constexpr const char* kName = "PruneMergeTokens";
  static constexpr Port kInputs[] = {{"scores", kFloat, false}, {"count", kInt64, false}, {"x", kFloat, false}, {"size", kFloat, true}};
  static constexpr Port kOutputs[] = {{"index", kInt64, false}, {"y", kFloat, true}, {"merged_size", kFloat, true}};

  explicit PruneMergeTokens(const Ort::ConstKernelInfo& info);
  void compute(Ort::KernelContext& context);
  // Keeps `count` patch tokens of s.x; gives output y.
  FloatOutput select(Ort::KernelContext& context, const Scored& s, size_t count, const std::optional<Input>& size, const SelectionOutputs& outputs);

 private:
  size_t prefix_;
  float share_;
  bool by_distance_;
  Ort::AllocatorWithDefaultOptions allocator_;
};

}  // namespace coppice
