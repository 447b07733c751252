#pragma once

#include "linear_layer.h"

namespace coppice {

// Layer norm, MLP and residual of an encoder block; contract in docs/reference/operators.md.
class MlpBlock {
 public:
  static constexpr const char* kName = "MlpBlock";
  static constexpr Port kInputs[] = {{"x", kFloat, false},        {"norm_weight", kFloat, false}, {"norm_bias", kFloat, false},    weight_port("fc1"),
                                     {"fc1_bias", kFloat, false}, scale_port("fc1_scale"),        weight_port("fc2"),              {"fc2_bias", kFloat, false},
                                     scale_port("fc2_scale"),     weight_port("fc2_u", true),     scale_port("fc2_u_scale")};
  static constexpr Port kOutputs[] = {{"y", kFloat, false}};

  // `first` is the number of the norm's first input, `norm` its name.
  explicit MlpBlock(const Ort::ConstKernelInfo& info, size_t first = 1, const std::string& norm = "norm");
  void compute(Ort::KernelContext& context);
  // y[rows, D] of x[rows, D]; y may be x.
  void run(Ort::KernelContext& context, const float* x, size_t rows, float* y);
  // The same, a share of those rows at a time.
  RowStep step(const float* x, size_t rows, float* y) const;
  const NormLayer& norm() const { return norm_; }

 private:
  enum class Hidden { kGelu, kGeluTanh, kSwiglu };

  NormLayer norm_;
  Hidden hidden_;
  LinearLayer fc1_;
  std::optional<LinearLayer> fc2_u_;
  std::optional<LinearLayer> fc2_;  // made last, from what the others say of its depth
  Ort::AllocatorWithDefaultOptions allocator_;
};

}  // namespace coppice
