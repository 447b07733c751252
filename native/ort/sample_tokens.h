#pragma once

#include "selection.h"

namespace coppice {

// Keeps tokens at even steps of the cumulative score; contract in docs/reference/operators.md.
class SampleTokens {
 public:
  static constexpr const char* kName = "SampleTokens";
  static constexpr Port kInputs[] = {{"scores", kFloat, false}, {"count", kInt64, false}, {"x", kFloat, true}};
  static constexpr Port kOutputs[] = {{"index", kInt64, false}, {"y", kFloat, true}, {"kept_count", kInt64, true}};

  explicit SampleTokens(const Ort::ConstKernelInfo& info);
  void compute(Ort::KernelContext& context);
  // Input `number`, count: sample points for these scores.
  size_t points(Ort::KernelContext& context, size_t number, const Scored& s) const;
  // Keeps the tokens at so many points; gives output y.
  FloatOutput select(Ort::KernelContext& context, const Scored& s, size_t points, const SelectionOutputs& outputs) const;

 private:
  size_t prefix_;
  bool ats_;
  bool pad_;
};

// Keeps tokens above a threshold; contract in docs/reference/operators.md.
class ThresholdTokens {
 public:
  static constexpr const char* kName = "ThresholdTokens";
  static constexpr Port kInputs[] = {{"scores", kFloat, false}, {"threshold", kFloat, false}, {"x", kFloat, true}};
  static constexpr Port kOutputs[] = {{"index", kInt64, false}, {"y", kFloat, true}, {"kept_count", kInt64, true}};

  explicit ThresholdTokens(const Ort::ConstKernelInfo& info);
  void compute(Ort::KernelContext& context);

 private:
  size_t prefix_;
  size_t least_;
  bool pad_;
};

}  // namespace coppice
