#pragma once

#include "selection.h"

namespace coppice {

// Keeps the best patch tokens; contract in docs/reference/operators.md.
class TopKTokens {
 public:
  static constexpr const char* kName = "TopKTokens";
  static constexpr Port kInputs[] = {{"scores", kFloat, false}, {"count", kInt64, false}, {"x", kFloat, true}, {"size", kFloat, true}};
  static constexpr Port kOutputs[] = {{"index", kInt64, false}, {"y", kFloat, true}, {"kept_size", kFloat, true}};

  explicit TopKTokens(const Ort::ConstKernelInfo& info);
  void compute(Ort::KernelContext& context);
  // Keeps `count` patch tokens; gives output y.
  FloatOutput select(Ort::KernelContext& context, const Scored& s, size_t count, const std::optional<Input>& size, const SelectionOutputs& outputs) const;

 private:
  size_t prefix_;
  bool fuse_;
  bool mean_;
};

}  // namespace coppice
