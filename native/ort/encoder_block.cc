#include "encoder_block.h"

namespace coppice {
namespace {

constexpr size_t kQueryIndex = 9, kSize = 11, kMlp = std::size(AttentionBlock::kInputs), kThreshold = EncoderBlock::kInputs.size() - 1, kCount = kThreshold - 1;
constexpr SelectionOutputs kOutputNumbers{0, 3, 4, 5, 6};
constexpr const char* kSelections[] = {"none", "top_k", "sample", "merge", "prune_merge"};

bool reads(const Ort::ConstKernelInfo& info, size_t input) { return input < info.GetInputCount() && !info.GetInputName(input).empty(); }
bool writes(const Ort::ConstKernelInfo& info, size_t output) { return output < info.GetOutputCount() && !info.GetOutputName(output).empty(); }

}  // namespace

EncoderBlock::Selection EncoderBlock::selection(const Ort::ConstKernelInfo& info) {
  switch (choice_attribute(info, "select", {kSelections[0], kSelections[1], kSelections[2], kSelections[3], kSelections[4]})) {
    case 1: return TopKTokens(info);
    case 2: return SampleTokens(info);
    case 3: return MergeTokens(info, "merge_order");  // order is the linear attention's
    case 4: return PruneMergeTokens(info);
    default: return {};
  }
}

EncoderBlock::EncoderBlock(const Ort::ConstKernelInfo& info)
    : attention_(info, "norm1"), selection_(selection(info)), mlp_(info, kMlp, "norm2"), prefix_(prefix_attribute(info)) {
  const size_t width = attention_.norm().width();
  if (mlp_.norm().width() != width) {
    refuse("input norm2_weight must have shape [" + std::to_string(width) + "] to match norm1_weight, found [" + std::to_string(mlp_.norm().width()) + "].");
  }
  refuse_what_selection_lacks(info);
  const bool ranks = selection_.index() != 0 && !std::holds_alternative<MergeTokens>(selection_);
  if (ranks && !attention_.gives_scores()) scorer_.emplace(info);
}

// What a selection has no use for is refused, not ignored.
void EncoderBlock::refuse_what_selection_lacks(const Ort::ConstKernelInfo& info) const {
  const bool none = selection_.index() == 0, top_k = std::holds_alternative<TopKTokens>(selection_), sample = std::holds_alternative<SampleTokens>(selection_),
             merge = std::holds_alternative<MergeTokens>(selection_), prune_merge = std::holds_alternative<PruneMergeTokens>(selection_);
  const std::string found = kSelections[selection_.index()];
  const auto refuse_unless = [&](bool fits, bool connected, const char* what, const char* needs) {
    if (connected && !fits) refuse(std::string(what) + " needs attribute select=" + needs + ", found " + found + "; set it or leave it out.");
  };
  refuse_unless(!none, reads(info, kCount), "input count", "top_k, sample, merge or prune_merge");
  refuse_unless(merge, reads(info, kThreshold), "input threshold", "merge");
  refuse_unless(none, reads(info, kQueryIndex), "input query_index", "none");
  refuse_unless(top_k || sample || prune_merge, writes(info, kOutputNumbers.index), "output index", "top_k, sample or prune_merge");
  refuse_unless(top_k || merge || prune_merge, writes(info, kOutputNumbers.size), "output kept_size", "top_k, merge or prune_merge");
  refuse_unless(merge, writes(info, kOutputNumbers.group), "output group", "merge");
  refuse_unless(sample || merge, writes(info, kOutputNumbers.kept_count), "output kept_count", "sample or merge");
  if (!none && !merge && !reads(info, kCount)) refuse("input count is missing; connect how many tokens select=" + found + " keeps.");
  if (!none && attention_.hallucinates()) {
    refuse("attribute select=" + found + " needs attention=softmax or linear, found hallucinated, which ranks no tokens; use select=none.");
  }
  if (top_k && writes(info, kOutputNumbers.size) && !reads(info, kSize)) {
    refuse("output kept_size of select=top_k needs input size; connect it or leave the output out.");
  }
}

FloatOutput EncoderBlock::selected(Ort::KernelContext& context, AttentionBlock::Call& call, float* scored, float* handed_on) {
  const std::vector<int64_t>& shape = call.x.shape;
  auto* const merge = std::get_if<MergeTokens>(&selection_);
  const size_t tokens = call.x.size(0) * call.x.size(1), projected = handed_on == nullptr && (merge || scorer_) ? tokens * attention_.projected() : 0;
  Scratch scratch(allocator_, tokens * call.x.size(2) + tokens + projected);
  float* const rows = scratch.take(tokens * call.x.size(2));
  float* const scores = scored ? scored : scratch.take(tokens);
  float* const projection = projected > 0 ? scratch.take(projected) : handed_on;
  Input x, ranking;
  x.shape = {shape[0], shape[1], shape[2]};  // a vector's copy would need a newer libstdc++
  x.data = rows;
  if (merge) {
    const MergeTokens::Limits limits = merge->limits(context, kCount, kThreshold, x, call.projection->qkv, call.size);
    attention_.run(context, call, rows, scored, projection);
    return merge->select(context, x, call.projection->qkv, call.size, limits, kOutputNumbers);
  }
  ranking.shape = {shape[0], shape[1]};
  ranking.data = scores;
  const Scored s(std::move(ranking), std::move(x), prefix_);
  const auto* const sample = std::get_if<SampleTokens>(&selection_);
  const size_t count = sample ? sample->points(context, kCount, s) : s.kept_patches(context, kCount);
  attention_.run(context, call, rows, scorer_ ? nullptr : scores, projection);
  if (scorer_) scorer_->score(*call.projection, call.size, scores);
  if (sample) return sample->select(context, s, count, kOutputNumbers);
  if (const auto* top_k = std::get_if<TopKTokens>(&selection_)) return top_k->select(context, s, count, call.size, kOutputNumbers);
  return std::get<PruneMergeTokens>(selection_).select(context, s, count, call.size, kOutputNumbers);
}

void EncoderBlock::compute(Ort::KernelContext& context) {
  AttentionBlock::Call call = attention_.call(context);
  const std::vector<int64_t>& shape = call.x.shape;
  const FloatOutput scored(context, 1, {shape[0], shape[1]}), handed_on(context, 2, {shape[0], shape[1], static_cast<int64_t>(attention_.projected())});
  if (selection_.index() != 0) {
    const FloatOutput y = selected(context, call, scored.data(), handed_on.data());
    mlp_.run(context, y.data(), y.size() / attention_.norm().width(), y.data());
    return;
  }
  // Every row goes on, so its share does while it is in the cache, without waiting for the others.
  const FloatOutput y(context, 0, {shape[0], static_cast<int64_t>(call.rows), shape[2]});
  attention_.run(context, call, y.data(), scored.data(), handed_on.data(), mlp_.step(y.data(), call.x.size(0) * call.rows, y.data()));
}

}  // namespace coppice
