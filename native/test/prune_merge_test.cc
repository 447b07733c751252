// Pruning with merging against its definition in double, on every body, at the sizes that break kernels.
#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "bodies.h"
#include "pruning.h"
#include "top_k.h"

namespace coppice::test {
namespace {

const float kNan = std::numeric_limits<float>::quiet_NaN();

using Shape = std::tuple<const Kernels*, bool, size_t, size_t>;  // body, by distance, tokens, width

class PruneMergeAtEveryShape : public testing::TestWithParam<Shape> {};

std::string shape_name(const testing::TestParamInfo<Shape>& info) {
  const auto [body, by_distance, tokens, width] = info.param;
  return std::string(body->isa) + (by_distance ? "_distance" : "_importance") + "_tokens_" + std::to_string(tokens) + "_width_" + std::to_string(width);
}

// Around each body's lanes (1, 4, 8, 16), tile rows (6, 8), panel (2 to 64 targets) and source tile (24).
INSTANTIATE_TEST_SUITE_P(Body, PruneMergeAtEveryShape,
                         testing::Combine(testing::ValuesIn(bodies()), testing::Bool(), testing::Values(0, 1, 2, 3, 17, 26, 67, 197),
                                          testing::Values(3, 5, 16, 33, 192)),
                         shape_name);

TEST_P(PruneMergeAtEveryShape, ShouldFollowItsDefinition) {
  const auto [body, by_distance, tokens, width] = GetParam();
  const size_t prefix = std::min<size_t>(tokens, (tokens + width) % 3);
  auto seed = static_cast<unsigned>(7 * tokens + width);
  PruneProblem p = random_prune(tokens, prefix, width, seed, by_distance);
  PrunedReference expected = prune_reference(p);
  while (expected.margin <= 1) {  // rounding decides
    p = random_prune(tokens, prefix, width, ++seed, by_distance);
    expected = prune_reference(p);
  }
  EXPECT_TRUE(right(run_prune(merge_kernels(body->isa), p), expected));
  EXPECT_TRUE(right(run_prune(merge_kernels(body->isa), p, 7), expected));
}

class PruneMergeBody : public testing::TestWithParam<const Kernels*> {
 protected:
  const MergeKernels& kernels() const { return merge_kernels(GetParam()->isa); }
};

INSTANTIATE_TEST_SUITE_P(, PruneMergeBody, testing::ValuesIn(bodies()), [](const auto& info) { return std::string(info.param->isa); });

TEST_P(PruneMergeBody, ShouldCompareWithEarlierTokensOnly) {
  // Token t is nearest to token t + 1, which comes later: of those before it, to the last.
  const size_t tokens = 70;
  std::vector<float> x(tokens * 2);
  for (size_t t = 0; t < tokens; ++t) {
    const double angle = 0.02 * static_cast<double>(t) - 0.0001 * static_cast<double>(t * t);
    x[2 * t] = static_cast<float>(std::cos(angle));
    x[2 * t + 1] = static_cast<float>(std::sin(angle));
  }
  const Guarded<float> metric(x);
  const Places all{0, 1, tokens};
  const Matches found = run_matches(kernels(), {metric.data(), 2, 1, 2, all, all, true});
  EXPECT_TRUE(std::isnan(found.similarity[0]));
  for (size_t t = 1; t < tokens; ++t) EXPECT_EQ(found.partner[t], t - 1);
}

TEST_P(PruneMergeBody, ShouldKeepEveryTokenBitForBitWhereNoneGoes) {
  PruneProblem p = random_prune(40, 1, 6, 1, true);
  p.count = 39;
  p.merged = 0;
  const Pruned found = run_prune(kernels(), p);
  EXPECT_EQ(found.y, p.x);
  EXPECT_EQ(found.size, p.size);
}

TEST_P(PruneMergeBody, ShouldDropAllWhereNoneStays) {
  PruneProblem p = random_prune(40, 2, 6, 2, true);
  p.count = p.merged = 0;
  EXPECT_EQ(run_prune(kernels(), p).index, (std::vector<int64_t>{0, 1}));
}

TEST_P(PruneMergeBody, CopiesShouldGoFirst) {
  // Tokens 2 and 5 are copies of 1 and 4: though most important but for those, they are at no distance.
  PruneProblem p{7, 1, 2, 4};
  p.by_distance = true;
  p.merged = 2;
  p.scores = {9, 8, 7, 1, 6, 5, 1};
  p.x = {9, 9, /*1*/ 1, 0, /*2*/ 4, 0, /*3*/ -1, 0, /*4*/ 0, 1, /*5*/ 0, 2, /*6*/ 0, -1};
  const Pruned found = run_prune(kernels(), p);
  EXPECT_EQ(found.index, (std::vector<int64_t>{0, 1, 3, 4, 6}));
  EXPECT_EQ(found.y, (std::vector<float>{9, 9, 2.5f, 0, -1, 0, 0, 1.5f, 0, -1}));
  EXPECT_EQ(found.size, (std::vector<float>{1, 2, 1, 2, 1}));
}

TEST_P(PruneMergeBody, TiesShouldGoToTheLowerToken) {
  PruneProblem p{6, 0, 2, 3};
  p.merged = 2;
  p.scores = {1, 1, 1, 1, 1, 1};
  p.x = {1, 0, 2, 0, 0, 1, /*3*/ 4, 0, /*4*/ 0, 8, /*5*/ 1, 0};
  const Pruned found = run_prune(kernels(), p);
  EXPECT_EQ(found.index, (std::vector<int64_t>{0, 1, 2}));
  EXPECT_EQ(found.y, (std::vector<float>{2.5f, 0, 2, 0, 0, 4.5f}));
}

TEST_P(PruneMergeBody, OppositeTokensShouldAddNoSize) {
  PruneProblem p{3, 0, 2, 1};
  p.merged = 2;
  p.scores = {3, 2, 1};
  p.x = {1, 0, -3, 0, 0, 0};
  p.size = {2, 5, 7};
  const Pruned found = run_prune(kernels(), p);
  EXPECT_FLOAT_EQ(found.y[0], -2.0f / 3);
  EXPECT_EQ(found.size, std::vector<float>{2});
}

TEST_P(PruneMergeBody, NotANumberShouldRankLast) {
  PruneProblem p = random_prune(40, 1, 6, 3, true);
  p.scores[7] = 100;
  p.scores[8] = kNan;
  p.scores[9] = 99;
  p.x[9 * 6 + 2] = kNan;
  p.count = 37;
  p.merged = 0;
  const Pruned found = run_prune(kernels(), p);
  EXPECT_EQ(std::count(found.index.begin(), found.index.end(), 7), 1);
  EXPECT_EQ(std::count(found.index.begin(), found.index.end(), 8), 0);
  EXPECT_EQ(std::count(found.index.begin(), found.index.end(), 9), 0);
}

TEST(MergedCount, ShouldRoundAHalfUp) {
  EXPECT_EQ(merged_count(0.5f, 7), 4u);
  EXPECT_EQ(merged_count(0.5f, 0), 0u);
  EXPECT_EQ(merged_count(0, 9), 0u);
  EXPECT_EQ(merged_count(1, 9), 9u);
  EXPECT_EQ(merged_count(0.3f, 10), 3u);
}

TEST(WeighByDistance, ShouldNotFallBelowNothing) {
  const std::vector<float> scores{5, 4, 3, 2}, similarity{kNan, 1.0000001f, -1};
  const std::vector<int64_t> order{1, 2, 3};
  std::vector<float> values(4);
  weigh_by_distance(scores.data(), 4, 1, order.data(), similarity.data(), values.data());
  EXPECT_EQ(values, (std::vector<float>{5, 8, 0, 4}));
}

TEST(RankTokens, ShouldBeginWithTheBestOfEveryCount) {
  const std::vector<float> scores{9, 1, kNan, 3, 3, -1, kNan, 2};
  std::vector<int64_t> order(7), index(8);
  std::vector<uint32_t> scratch(7);
  rank_tokens(scores.data(), 8, 1, order.data());
  EXPECT_EQ(order, (std::vector<int64_t>{3, 4, 7, 1, 5, 2, 6}));
  for (size_t count = 0; count <= 7; ++count) {
    top_k_tokens(scores.data(), 8, 1, count, index.data(), scratch.data());
    EXPECT_TRUE(std::is_permutation(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), index.begin() + 1)) << count;
  }
}

// The twin of the above: what goes red on answers that are slightly wrong.
class WrongPruneMerge : public PruneMergeBody {
 protected:
  const PruneProblem problem = random_prune(197, 1, 64, 4, true);
  const PrunedReference expected = prune_reference(problem);
  void SetUp() override { ASSERT_TRUE(right(found(), expected)); }
  Pruned found() const { return run_prune(kernels(), problem); }
};

INSTANTIATE_TEST_SUITE_P(, WrongPruneMerge, testing::ValuesIn(bodies()), [](const auto& info) { return std::string(info.param->isa); });

TEST_P(WrongPruneMerge, ImportanceAloneShouldShow) {
  PruneProblem other = problem;
  other.by_distance = false;
  EXPECT_FALSE(right(run_prune(kernels(), other), expected));
}

TEST_P(WrongPruneMerge, OneMergeLessShouldShow) {
  PruneProblem other = problem;
  --other.merged;
  EXPECT_FALSE(right(run_prune(kernels(), other), expected));
}

TEST_P(WrongPruneMerge, ForgottenSizesShouldShow) {
  PruneProblem other = problem;
  other.size.clear();
  EXPECT_FALSE(right(run_prune(kernels(), other), expected));
}

TEST_P(WrongPruneMerge, ATenThousandthShouldShow) {
  Pruned wrong = found();
  wrong.y[500] *= 1.0001f;
  EXPECT_FALSE(right(wrong, expected));
}

TEST_P(WrongPruneMerge, NotANumberShouldShow) {
  Pruned wrong = found();
  wrong.size[50] = kNan;
  EXPECT_FALSE(right(wrong, expected));
}

}  // namespace
}  // namespace coppice::test
