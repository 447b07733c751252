#pragma once

#include "operator.h"

namespace coppice {

// Softmax attention that gathers the class token's attention on the way; contract in docs/reference/operators.md.
class TokenAttention {
 public:
  static constexpr const char* kName = "TokenAttention";
  static constexpr Port kInputs[] = {{"qkv", kFloat, false}, {"query_index", kInt64, true}, {"size", kFloat, true}};
  static constexpr Port kOutputs[] = {{"y", kFloat, false}, {"scores", kFloat, true}};

  // in_bytes: attend by int8_attention.h.
  explicit TokenAttention(const Ort::ConstKernelInfo& info, bool in_bytes = false);
  void compute(Ort::KernelContext& context);
  // Refuses what is too long for sums of bytes.
  void check(const Projection& p) const;
  // y[B, M, D] of M query rows, and scores[B, N] unless null.
  void attend(Ort::KernelContext& context, const Projection& p, const std::optional<Input>& query_index, const std::optional<Input>& size, float* y,
              float* scores);
  bool gives_scores() const { return score_ != Score::kNone; }

 private:
  enum class Score { kNone, kClass, kClassByValue, kReceived };
  // The batch's items, each with its first row of token 0, or the number of rows: of an item's tiles only that row's may write its scores.
  struct Items {
    std::vector<Attention> attention;
    std::vector<size_t> class_at;
    float scale;
  };
  // y, and each head's scores [items, heads, N] unless null; not those of token 0 where it has no row.
  void mix(Ort::KernelContext& context, const Items& items, float* head_scores);
  void mix_in_bytes(Ort::KernelContext& context, const Items& items, float* head_scores);

  bool in_bytes_;
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
