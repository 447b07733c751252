#pragma once

#include <variant>

#include "hallucinated_attention.h"
#include "linear_attention.h"
#include "linear_layer.h"
#include "token_attention.h"

namespace coppice {

// Layer norm, projection, attention, output projection and residual of an encoder block; contract in docs/reference/operators.md.
class AttentionBlock {
 public:
  static constexpr const char* kName = "AttentionBlock";
  static constexpr Port kInputs[] = {{"x", kFloat, false},        {"norm_weight", kFloat, false}, {"norm_bias", kFloat, false},   weight_port("qkv"),
                                     {"qkv_bias", kFloat, false}, scale_port("qkv_scale"),        weight_port("proj"),            {"proj_bias", kFloat, false},
                                     scale_port("proj_scale"),    {"query_index", kInt64, true},  {"positions", kInt64, true},    {"size", kFloat, true},
                                     {"mix", kFloat, true},       {"dw", kFloat, true}};
  static constexpr Port kOutputs[] = {{"y", kFloat, false}, {"scores", kFloat, true}, {"projection", kFloat, true}};

  // `norm` is the name of the norm's inputs.
  explicit AttentionBlock(const Ort::ConstKernelInfo& info, const std::string& norm = "norm");
  void compute(Ort::KernelContext& context);

  // The inputs of a call, checked.
  struct Call {
    Input x;
    std::optional<Input> query_index, positions, size, mix, dw;
    std::optional<Projection> projection;  // of softmax and linear attention, without data before `run`
    Hallucination maps{};                  // of hallucinated attention
    size_t rows = 0;                       // of y, for each item
  };
  Call call(Ort::KernelContext& context) const;
  // y[B, M, D], scores[B, N] unless null, and the packed projection, which null leaves in scratch; `next` follows on a share of y as soon
  // as it is there.
  void run(Ort::KernelContext& context, Call& call, float* y, float* scores, float* projection, const RowStep& next = {});
  size_t projected() const { return qkv_.columns(); }
  bool hallucinates() const { return std::holds_alternative<HallucinatedAttention>(attention_); }
  // Whether the attention's form has scores.
  bool gives_scores() const { return std::holds_alternative<TokenAttention>(attention_) && std::get<TokenAttention>(attention_).gives_scores(); }
  const NormLayer& norm() const { return norm_; }

 private:
  using Attention = std::variant<TokenAttention, LinearAttention, HallucinatedAttention>;
  static Attention attention(const Ort::ConstKernelInfo& info);
  size_t mixed_width(const Ort::ConstKernelInfo& info) const;

  Attention attention_;
  size_t heads_;
  NormLayer norm_;
  LinearLayer qkv_;
  LinearLayer proj_;
  Ort::AllocatorWithDefaultOptions allocator_;
};

}  // namespace coppice
