#pragma once

#include "selection.h"

namespace coppice {

struct Merge;

// Merges similar tokens; contract in docs/reference/operators.md.
class MergeTokens {
 public:
  static constexpr const char* kName = "MergeTokens";
  static constexpr Port kInputs[] = {
      {"x", kFloat, false}, {"metric", kFloat, false}, {"count", kInt64, true}, {"size", kFloat, true}, {"threshold", kFloat, true}};
  static constexpr Port kOutputs[] = {{"y", kFloat, false}, {"merged_size", kFloat, true}, {"group", kInt64, true}, {"kept_count", kInt64, true}};

  // `order` names the attribute of that meaning.
  explicit MergeTokens(const Ort::ConstKernelInfo& info, const char* order = "order");
  void compute(Ort::KernelContext& context);

  // What a call asks for: so many merges at most, of tokens more similar than `threshold`.
  struct Limits {
    size_t most;
    float threshold;
  };
  // Inputs count and threshold by number, for x and a metric whose data may come later; refuses what does not fit.
  Limits limits(Ort::KernelContext& context, size_t count_number, size_t threshold_number, const Input& x, const Input& metric, const std::optional<Input>& size) const;
  // Merges the tokens of x; gives output y.
  FloatOutput select(Ort::KernelContext& context, const Input& x, const Input& metric, const std::optional<Input>& size, const Limits& limits,
                     const SelectionOutputs& outputs);

 private:
  struct Plans;

  Merge described(const Input& x, const Input& metric) const;

  size_t prefix_;
  size_t heads_;  // 0: metric is the metric itself; else the packed projection, whose keys are
  bool by_threshold_;
  bool raster_;
  bool pad_;
  Ort::AllocatorWithDefaultOptions allocator_;
};

}  // namespace coppice
