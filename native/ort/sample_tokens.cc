#include "sample_tokens.h"

#include <cmath>

#include "../kernels/sample.h"
#include "../kernels/threshold.h"

namespace coppice {
namespace {

constexpr int64_t kMostTokens = 1 << 20;
// Beyond it a float32 score could not tell two neighbouring points apart.
constexpr int64_t kMostPoints = 1 << 24;

constexpr SelectionOutputs kOutputNumbers{1, 0, kNoOutput, kNoOutput, 2};

}  // namespace

SampleTokens::SampleTokens(const Ort::ConstKernelInfo& info) : prefix_(prefix_attribute(info)) {
  ats_ = choice_attribute(info, "rule", {"cdf", "ats"}) == 1;
  pad_ = integer_attribute(info, "pad", 0, 0, 1) == 1;
}

void SampleTokens::compute(Ort::KernelContext& context) {
  const Scored s(context, prefix_);
  select(context, s, points(context, 1, s), kOutputNumbers);
}

size_t SampleTokens::points(Ort::KernelContext& context, size_t number, const Scored& s) const {
  const int64_t points = integer_value(context, number, "count");
  if (points < 0 || points > kMostPoints) {
    refuse("count must be 0.." + std::to_string(kMostPoints) + " sample points, found " + std::to_string(points) + ".");
  }
  expect_one_item(s.scores, "scores", pad_);
  return static_cast<size_t>(points);
}

FloatOutput SampleTokens::select(Ort::KernelContext& context, const Scored& s, size_t count, const SelectionOutputs& outputs) const {
  RaggedSelection selection(s.batch, prefix_ + std::min(count, s.patches()));
  std::vector<uint32_t> order(ats_ ? s.patches() : 0);
  std::vector<double> sums(order.size());
  for (size_t b = 0; b < s.batch; ++b) {
    selection.keep(b, sample_tokens(s.item(b), s.tokens, prefix_, count, ats_ ? SampleRule::kAts : SampleRule::kCdf, selection.index(b),
                                    order.data(), sums.data()));
  }
  return selection.write(context, s, pad_, outputs);
}

ThresholdTokens::ThresholdTokens(const Ort::ConstKernelInfo& info) : prefix_(prefix_attribute(info)) {
  least_ = static_cast<size_t>(integer_attribute(info, "min_tokens", 0, 0, kMostTokens));
  pad_ = integer_attribute(info, "pad", 0, 0, 1) == 1;
}

void ThresholdTokens::compute(Ort::KernelContext& context) {
  const Scored s(context, prefix_);
  const float threshold = float_value(context, 1, "threshold");
  if (std::isnan(threshold)) refuse("threshold must be a number, found nan; -inf keeps every token whose score is above it.");
  expect_one_item(s.scores, "scores", pad_);
  RaggedSelection selection(s.batch, s.tokens);
  std::vector<uint32_t> order(s.patches());
  for (size_t b = 0; b < s.batch; ++b) {
    selection.keep(b, threshold_tokens(s.item(b), s.tokens, prefix_, threshold, least_, selection.index(b), order.data()));
  }
  selection.write(context, s, pad_, kOutputNumbers);
}

}  // namespace coppice
