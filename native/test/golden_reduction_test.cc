// The golden cases of merging and of selections with a length of their own: what the adapters do with attributes, done by hand.
#include <algorithm>
#include <limits>

#include "bodies.h"
#include "golden_items.h"
#include "pruning.h"
#include "reduction.h"
#include "sample.h"
#include "threshold.h"
#include "top_k.h"

namespace coppice::test {
namespace {

using BodyCase = std::tuple<const Kernels*, GoldenCase>;

std::string body_case_name(const testing::TestParamInfo<BodyCase>& info) {
  return case_name(std::get<0>(info.param)->isa, std::get<1>(info.param));
}

// Compares a selection with the outputs index, y and kept_count of batch item b, whose rest is zero.
void expect_selection(const GoldenCase& golden, size_t b, std::vector<int64_t> index) {
  const size_t batch = golden.input("scores")->shape[0], rows = golden.output("index")->shape[1], kept = index.size();
  if (const Tensor* count = golden.output("kept_count")) {
    EXPECT_EQ(count->integers[b], static_cast<int64_t>(kept));
  }
  if (golden.output("y")) {
    const std::vector<float> x = item(golden.input("x")->floats, batch, b);
    const size_t width = golden.input("x")->shape[2];
    std::vector<float> y(rows * width);
    gather_rows(x.data(), width, index.data(), kept, y.data());
    EXPECT_TRUE(close(y, expected(*golden.output("y"), batch, b, 0)));
  }
  index.resize(rows);
  EXPECT_EQ(index, item(golden.output("index")->integers, batch, b));
}

class SelectionGolden : public testing::TestWithParam<GoldenCase> {
 protected:
  const GoldenCase& golden = GetParam();
  const size_t batch = golden.input("scores")->shape[0], tokens = golden.input("scores")->shape[1];
  const size_t prefix = static_cast<size_t>(golden.number("prefix_tokens", 1));
  std::vector<int64_t> index = std::vector<int64_t>(tokens);
  std::vector<uint32_t> order = std::vector<uint32_t>(tokens);
};

std::string selection_name(const testing::TestParamInfo<GoldenCase>& info) { return case_name("any", info.param); }

class SampleTokensGolden : public SelectionGolden {};
INSTANTIATE_TEST_SUITE_P(SampleTokens, SampleTokensGolden, testing::ValuesIn(golden_cases(COPPICE_GOLDEN, "SampleTokens")), selection_name);

TEST_P(SampleTokensGolden, ShouldAgree) {
  std::vector<double> sums(tokens);
  const auto count = static_cast<size_t>(golden.input("count")->integers[0]);
  const SampleRule rule = golden.attribute("rule", "cdf") == "ats" ? SampleRule::kAts : SampleRule::kCdf;
  for (size_t b = 0; b < batch; ++b) {
    const std::vector<float> scores = item(golden.input("scores")->floats, batch, b);
    const size_t rows = sample_tokens(scores.data(), tokens, prefix, count, rule, index.data(), order.data(), sums.data());
    expect_selection(golden, b, {index.begin(), index.begin() + static_cast<std::ptrdiff_t>(rows)});
  }
}

class ThresholdTokensGolden : public SelectionGolden {};
INSTANTIATE_TEST_SUITE_P(ThresholdTokens, ThresholdTokensGolden, testing::ValuesIn(golden_cases(COPPICE_GOLDEN, "ThresholdTokens")), selection_name);

TEST_P(ThresholdTokensGolden, ShouldAgree) {
  const auto least = static_cast<size_t>(golden.number("min_tokens", 0));
  for (size_t b = 0; b < batch; ++b) {
    const std::vector<float> scores = item(golden.input("scores")->floats, batch, b);
    const size_t rows = threshold_tokens(scores.data(), tokens, prefix, golden.input("threshold")->floats[0], least, index.data(), order.data());
    expect_selection(golden, b, {index.begin(), index.begin() + static_cast<std::ptrdiff_t>(rows)});
  }
}

class MergeTokensGolden : public testing::TestWithParam<BodyCase> {};
INSTANTIATE_TEST_SUITE_P(MergeTokens, MergeTokensGolden,
                         testing::Combine(testing::ValuesIn(bodies()), testing::ValuesIn(golden_cases(COPPICE_GOLDEN, "MergeTokens"))),
                         body_case_name);

TEST_P(MergeTokensGolden, ShouldAgree) {
  const MergeKernels& kernels = merge_kernels(std::get<0>(GetParam())->isa);
  const GoldenCase& golden = std::get<1>(GetParam());
  const Tensor& x = *golden.input("x");
  const auto heads = static_cast<size_t>(golden.number("num_heads", 0));
  for (size_t b = 0; b < x.shape[0]; ++b) {
    MergeProblem p{x.shape[1], static_cast<size_t>(golden.number("prefix_tokens", 1)), golden.input("metric")->shape[2],
                   item(golden.input("metric")->floats, x.shape[0], b)};
    if (heads > 0) {
      p.packed = true;
      p.parts = heads;
      p.dim /= 3 * heads;
    }
    p.width = x.shape[2];
    p.x = item(x.floats, x.shape[0], b);
    if (const Tensor* size = golden.input("size")) p.size = item(size->floats, x.shape[0], b);
    p.order = golden.attribute("order", "tome") == "tome" ? MergeOrder::kTome : MergeOrder::kRaster;
    size_t count = most_merges(p.described(p.metric.data()));
    if (const Tensor* asked = golden.input("count")) count = std::min(count, static_cast<size_t>(asked->integers[0]));
    if (const Tensor* threshold = golden.input("threshold")) {
      const Matches matches = run_matches(kernels, p);
      count = std::min(count, count_similar(matches.similarity.data(), matches.similarity.size(), threshold->floats[0]));
    }
    Merged merged = run_merge(kernels, p, count);
    if (const Tensor* kept = golden.output("kept_count")) {
      EXPECT_EQ(kept->integers[b], static_cast<int64_t>(merged.rows));
    }
    merged.y.resize(golden.output("y")->shape[1] * p.width);
    merged.size.resize(golden.output("y")->shape[1]);
    EXPECT_EQ(merged.group, item(golden.output("group")->integers, x.shape[0], b));
    EXPECT_TRUE(close(merged.y, expected(*golden.output("y"), x.shape[0], b, golden.tolerance())));
    EXPECT_TRUE(close(merged.size, expected(*golden.output("merged_size"), x.shape[0], b, 0)));
  }
}

class PruneMergeTokensGolden : public testing::TestWithParam<BodyCase> {};
INSTANTIATE_TEST_SUITE_P(PruneMergeTokens, PruneMergeTokensGolden,
                         testing::Combine(testing::ValuesIn(bodies()), testing::ValuesIn(golden_cases(COPPICE_GOLDEN, "PruneMergeTokens"))),
                         body_case_name);

TEST_P(PruneMergeTokensGolden, ShouldAgree) {
  const GoldenCase& golden = std::get<1>(GetParam());
  const Tensor& x = *golden.input("x");
  for (size_t b = 0; b < x.shape[0]; ++b) {
    PruneProblem p{x.shape[1], static_cast<size_t>(golden.number("prefix_tokens", 1)), x.shape[2],
                   static_cast<size_t>(golden.input("count")->integers[0])};
    if (p.count > 0) p.merged = merged_count(static_cast<float>(golden.number("merge_share", 0.5)), p.tokens - p.prefix - p.count);
    p.by_distance = golden.attribute("rank", "importance") == "importance_distance";
    p.scores = item(golden.input("scores")->floats, x.shape[0], b);
    p.x = item(x.floats, x.shape[0], b);
    if (const Tensor* size = golden.input("size")) p.size = item(size->floats, x.shape[0], b);
    const Pruned found = run_prune(merge_kernels(std::get<0>(GetParam())->isa), p);
    EXPECT_EQ(found.index, item(golden.output("index")->integers, x.shape[0], b));
    EXPECT_TRUE(close(found.y, expected(*golden.output("y"), x.shape[0], b, golden.tolerance())));
    EXPECT_TRUE(close(found.size, expected(*golden.output("merged_size"), x.shape[0], b, golden.tolerance())));
  }
}

class PatchMergerGolden : public testing::TestWithParam<BodyCase> {};
INSTANTIATE_TEST_SUITE_P(PatchMerger, PatchMergerGolden,
                         testing::Combine(testing::ValuesIn(bodies()), testing::ValuesIn(golden_cases(COPPICE_GOLDEN, "PatchMerger"))),
                         body_case_name);

TEST_P(PatchMergerGolden, ShouldAgree) {
  const PatchMergerKernels& kernels = patch_merger_kernels(std::get<0>(GetParam())->isa);
  const GoldenCase& golden = std::get<1>(GetParam());
  const Tensor &x = *golden.input("x"), &w = *golden.input("w");
  const auto prefix = static_cast<size_t>(golden.number("prefix_tokens", 0));
  for (size_t b = 0; b < x.shape[0]; ++b) {
    const std::vector<float> all = item(x.floats, x.shape[0], b);
    const auto first = all.begin() + static_cast<std::ptrdiff_t>(prefix * x.shape[2]);
    MixProblem p{x.shape[1] - prefix, x.shape[2], w.shape[1], {first, all.end()}, w.floats, {}, {}};
    if (const Tensor* gamma = golden.input("gamma")) p.gamma = gamma->floats;
    if (const Tensor* beta = golden.input("beta")) p.beta = beta->floats;
    const double scale = golden.number("scale", 1);
    p.scale = static_cast<float>(scale > 0 ? scale : 1 / std::sqrt(static_cast<double>(p.width)));
    p.over_outputs = golden.attribute("softmax_axis", "tokens") == "outputs";
    p.layer_norm = golden.number("layer_norm", 0) == 1;
    std::vector<float> y(all.begin(), first);
    const std::vector<float> mixed = run_mix(kernels, p);
    y.insert(y.end(), mixed.begin(), mixed.end());
    EXPECT_TRUE(close(y, expected(*golden.output("y"), x.shape[0], b, golden.tolerance())));
  }
}

}  // namespace
}  // namespace coppice::test
