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

  explicit AttentionBlock(const Ort::ConstKernelInfo& info);
  void compute(Ort::KernelContext& context);

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
