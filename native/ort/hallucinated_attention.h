#pragma once

#include "../kernels/hallucinated.h"
#include "operator.h"

namespace coppice {

// Attention that computes some maps and makes the others from them; contract in docs/reference/operators.md.
class HallucinatedAttention {
 public:
  static constexpr const char* kName = "HallucinatedAttention";
  static constexpr Port kInputs[] = {{"qkv", kFloat, false}, {"mix", kFloat, true}, {"dw", kFloat, true}};
  static constexpr Port kOutputs[] = {{"y", kFloat, false}};

  explicit HallucinatedAttention(const Ort::ConstKernelInfo& info);
  void compute(Ort::KernelContext& context);

 private:
  size_t heads_;
  size_t dw_kernel_;
  bool before_softmax_;
  Renorm renorm_;
  float eps_;
  Ort::AllocatorWithDefaultOptions allocator_;
};

}  // namespace coppice
