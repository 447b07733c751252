#include <algorithm>

#include "guarded.h"
#include "target.h"
#include "threshold.h"
#include "top_k_reference.h"

namespace coppice::fuzz {

void kernels(Draw& draw) {
  const size_t prefix = draw.number(0, 3), patches = draw.number(0, draw.number(0, 3) ? 40 : 400), tokens = prefix + patches;
  const size_t least = draw.number(0, patches + 2);
  const float threshold = draw.floats(1)[0];
  const Guarded<float> scores(draw.floats(tokens));
  Guarded<int64_t> index(tokens);
  Guarded<uint32_t> order(patches);
  const size_t rows = threshold_tokens(scores.data(), tokens, prefix, threshold, least, index.data(), order.data());
  EXPECT_TRUE(index.untouched_before() && order.untouched_before());

  std::vector<int64_t> expected, kept = index.values();
  for (size_t i = 0; i < tokens; ++i) {
    if (i < prefix || scores[i] > threshold) expected.push_back(static_cast<int64_t>(i));
  }
  if (expected.size() < prefix + std::min(least, patches)) expected = selection_reference(scores.values(), prefix, std::min(least, patches));
  kept.resize(rows);
  EXPECT_EQ(kept, expected);
}

Node node(Draw& draw, ONNXTensorElementDataType type) {
  const bool pad = draw.flag();
  const auto prefix = static_cast<int64_t>(draw.number(0, 3)), tokens = prefix + static_cast<int64_t>(draw.number(0, 40));
  const auto batch = static_cast<int64_t>(draw.number(0, pad ? 2 : 1)), width = static_cast<int64_t>(draw.number(0, 9));
  const bool with_x = draw.flag();
  const std::vector<float> threshold = draw.even(1, 3);
  return {"ThresholdTokens",
          {{"prefix_tokens", prefix}, {"min_tokens", draw.one_of<int64_t>({0, 1, 7, 1 << 20})}, {"pad", int64_t{pad}}},
          {tensor(draw, "scores", {batch, tokens}, type), type == kHalf ? halves("threshold", {}, threshold) : floats("threshold", {}, threshold),
           with_x ? tensor(draw, "x", {batch, tokens, width}, type) : Argument{}},
          {{"index", kInt64}, {with_x ? "y" : "", type}, {draw.flag() ? "kept_count" : "", kInt64}}};
}

}  // namespace coppice::fuzz
