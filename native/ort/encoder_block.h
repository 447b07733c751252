#pragma once

#include <array>
#include <variant>

#include "attention_block.h"
#include "merge_tokens.h"
#include "mlp_block.h"
#include "prune_merge_tokens.h"
#include "sample_tokens.h"
#include "top_k_tokens.h"

namespace coppice {

// The inputs of AttentionBlock, those of MlpBlock behind x, and the selection's.
constexpr auto encoder_inputs() {
  std::array<Port, std::size(AttentionBlock::kInputs) + std::size(MlpBlock::kInputs) + 1> ports{};
  size_t next = 0;
  for (const Port& port : AttentionBlock::kInputs) ports[next++] = port;
  for (size_t i = 1; i < std::size(MlpBlock::kInputs); ++i) ports[next++] = MlpBlock::kInputs[i];
  ports[next++] = {"count", kInt64, true};
  ports[next] = {"threshold", kFloat, true};
  return ports;
}

// A whole encoder block, with a selection of tokens between its halves; contract in docs/reference/operators.md.
class EncoderBlock {
 public:
  static constexpr const char* kName = "EncoderBlock";
  static constexpr auto kInputs = encoder_inputs();
  static constexpr Port kOutputs[] = {{"y", kFloat, false},        {"scores", kFloat, true}, {"projection", kFloat, true}, {"index", kInt64, true},
                                      {"kept_size", kFloat, true}, {"group", kInt64, true},  {"kept_count", kInt64, true}};

  explicit EncoderBlock(const Ort::ConstKernelInfo& info);
  void compute(Ort::KernelContext& context);

 private:
  using Selection = std::variant<std::monostate, TopKTokens, SampleTokens, MergeTokens, PruneMergeTokens>;
  static Selection selection(const Ort::ConstKernelInfo& info);
  void refuse_what_selection_lacks(const Ort::ConstKernelInfo& info) const;
  // Output y with the rows that the selection leaves of the attention's; `scored` and `handed_on` may be null.
  FloatOutput selected(Ort::KernelContext& context, AttentionBlock::Call& call, float* scored, float* handed_on);

  AttentionBlock attention_;
  Selection selection_;
  std::optional<TokenScores> scorer_;  // where a selection ranks by scores that the attention does not give
  MlpBlock mlp_;
  size_t prefix_;
  Ort::AllocatorWithDefaultOptions allocator_;
};

}  // namespace coppice
