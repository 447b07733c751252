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
  // What is asked of item 0, without y; refuses inputs that do not fit each other or the attributes.
  Hallucination described(const Input& qkv, const std::optional<Input>& mix, const std::optional<Input>& dw) const;
  // y of each of `batch` items.
  void attend(Ort::KernelContext& context, const Hallucination& first, size_t batch);

 private:
  size_t heads_;
  size_t dw_kernel_;
  bool before_softmax_;
  Renorm renorm_;
  float eps_;
  Ort::AllocatorWithDefaultOptions allocator_;
};

}  // namespace coppice
