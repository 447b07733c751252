#include "sample.h"

#include <algorithm>

#include "guarded.h"
#include "target.h"

namespace coppice::fuzz {

void kernels(Draw& draw) {
  const size_t prefix = draw.number(0, 3), patches = draw.number(0, draw.number(0, 3) ? 40 : 400), tokens = prefix + patches;
  const size_t count = draw.number(0, 2 * patches + 1), most = prefix + std::min(count, patches);
  const SampleRule rule = draw.one_of({SampleRule::kCdf, SampleRule::kAts});
  const Guarded<float> scores(draw.floats(tokens));
  Guarded<int64_t> index(most);
  Guarded<uint32_t> order(patches);
  Guarded<double> sums(patches);
  const size_t kept = sample_tokens(scores.data(), tokens, prefix, count, rule, index.data(), order.data(), sums.data());
  EXPECT_TRUE(index.untouched_before() && order.untouched_before() && sums.untouched_before());
  EXPECT_TRUE(kept >= prefix && kept <= most);
  EXPECT_EQ(kept > prefix, count > 0 && patches > 0);
  for (size_t i = 0; i < kept; ++i) {
    EXPECT_TRUE(i < prefix ? index[i] == static_cast<int64_t>(i) : index[i] >= static_cast<int64_t>(prefix) && index[i] < static_cast<int64_t>(tokens));
    EXPECT_TRUE(i == 0 || index[i] > index[i - 1]);
  }
}

Node node(Draw& draw, ONNXTensorElementDataType type) {
  const bool pad = draw.flag();
  const auto prefix = static_cast<int64_t>(draw.number(0, 3)), tokens = prefix + static_cast<int64_t>(draw.number(0, 40));
  const auto batch = static_cast<int64_t>(draw.number(0, pad ? 2 : 1)), width = static_cast<int64_t>(draw.number(0, 9));
  const bool with_x = draw.flag();
  return {"SampleTokens",
          {{"prefix_tokens", prefix}, {"rule", std::string(draw.one_of<const char*>({"cdf", "ats"}))}, {"pad", int64_t{pad}}},
          {tensor(draw, "scores", {batch, tokens}, type), integers("count", {}, draw.integers(1, 0, 60)),
           with_x ? tensor(draw, "x", {batch, tokens, width}, type) : Argument{}},
          {{"index", kInt64}, {with_x ? "y" : "", type}, {draw.flag() ? "kept_count" : "", kInt64}}};
}

}  // namespace coppice::fuzz
