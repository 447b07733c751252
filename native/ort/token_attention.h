#pragma once

#include "operator.h"

namespace coppice {

// Softmax attention that gathers the class token's attention on the way; contract in docs/reference/operators.md.
class TokenAttention {
 public:
  static constexpr const char* kName = "TokenAttention";
  static constexpr Port kInputs[] = {{"qkv", kFloat, false}, {"query_index", kInt64, true}, {"size", kFloat, true}};
  static constexpr Port kOutputs[] = {{"y", kFloat, false}, {"scores", kFloat, true}};

  explicit TokenAttention(const Ort::ConstKernelInfo& info);
  void compute(Ort::KernelContext& context);
  // y[B, M, D] of M query rows, and scores[B, N] unless null.
  void attend(Ort::KernelContext& context, const Projection& p, const std::optional<Input>& query_index, const std::optional<Input>& size, float* y,
              float* scores);
  bool gives_scores() const { return score_ != Score::kNone; }

 private:
  enum class Score { kNone, kClass, kClassByValue, kReceived };

  size_t heads_;
  float scale_;  // 0: 1 / sqrt(dim)
  Score score_;
  Ort::AllocatorWithDefaultOptions allocator_;
};

// Class-token scores without the attention itself; contract in docs/reference/operators.md.
class TokenScores {
 public:
  static constexpr const char* kName = "TokenScores";
  static constexpr Port kInputs[] = {{"qkv", kFloat, false}, {"size", kFloat, true}};
  static constexpr Port kOutputs[] = {{"scores", kFloat, false}};

  explicit TokenScores(const Ort::ConstKernelInfo& info);
  void compute(Ort::KernelContext& context);
  // scores[B, N]
  void score(const Projection& p, const std::optional<Input>& size, float* scores);

 private:
  enum class Renormalise { kNone, kPerHead, kTotal };

  size_t heads_;
  size_t prefix_;
  bool by_column_;
  bool value_norm_;
  Renormalise renormalise_;
  Ort::AllocatorWithDefaultOptions allocator_;
};

}  // namespace coppice
