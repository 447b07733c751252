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
  // Refuses tokens and positions that the attributes have no place for.
  void check(const Projection& p, const std::optional<Input>& positions) const;
  // y[B, M, D] of M query rows, after `check`.
  void attend(Ort::KernelContext& context, const Projection& p, const std::optional<Input>& query_index, const std::optional<Input>& positions,
              const std::optional<Input>& size, float* y);

 private:
  enum class Order { kAuto, kLinear, kQuadratic };
  enum class Reweight { kNone, kCos1d, kCos2d };

  // The positions of one batch item as factors of queries and keys, kept for the length of one Compute.
  struct Wave {
    std::vector<float> query, key;  // key: empty where it equals query
  };

  size_t wave_count() const;
  size_t wave_length(const Projection& p) const;
  Wave waves_at(const int64_t* positions, size_t tokens, size_t length) const;
  bool prefers_quadratic(size_t tokens, size_t rows, size_t dim) const;

  size_t heads_;
  LinearForm form_{};
  Reweight reweight_;
  size_t length_;
  size_t grid_;
  size_t prefix_;
  Order order_;
  Ort::AllocatorWithDefaultOptions allocator_;
};

}  // namespace coppice
