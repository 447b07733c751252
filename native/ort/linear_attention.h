#pragma once

#include "operator.h"

namespace coppice {

// Kernel attention without softmax; contract in docs/reference/operators.md.
class LinearAttention {
 public:
  static constexpr const char* kName = "LinearAttention";
  static constexpr Port kInputs[] = {
      {"qkv", kFloat, false}, {"query_index", kInt64, true}, {"positions", kInt64, true}, {"size", kFloat, true}};
  static constexpr Port kOutputs[] = {{"y", kFloat, false}};

  explicit LinearAttention(const Ort::ConstKernelInfo& info);
  void compute(Ort::KernelContext& context);

 private:
  enum class Order { kAuto, kLinear, kQuadratic };

  // cos and sin of pi p / (2 length) for p = 0..length-1.
  struct Waves {
    size_t length;
    std::vector<float> cosine, sine;
    explicit Waves(size_t length);
  };

  bool prefers_quadratic(size_t tokens, size_t rows, size_t dim) const;

  size_t heads_;
  LinearForm form_;
  bool reweighted_;
  size_t length_;
  Order order_;
  Ort::AllocatorWithDefaultOptions allocator_;
  Waves waves_;  // of the attribute length; empty where the token count of each run stands in for it
};

}  // namespace coppice
