#pragma once

#include "operator.h"

namespace coppice {

struct Merge;

// Merges similar tokens; contract in docs/reference/operators.md.
class MergeTokens {
 public:
  static constexpr const char* kName = "MergeTokens";
  static constexpr Port kInputs[] = {
      {"x", kFloat, false}, {"metric", kFloat, false}, {"count", kInt64, true}, {"size", kFloat, true}, {"threshold", kFloat, true}};
  static constexpr Port kOutputs[] = {{"y", kFloat, false}, {"merged_size", kFloat, true}, {"group", kInt64, true}, {"kept_count", kInt64, true}};

  explicit MergeTokens(const Ort::ConstKernelInfo& info);
  void compute(Ort::KernelContext& context);

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
