// Sampling against the points it stands for, and at scores that break it.
#include "sample.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "guarded.h"
#include "problem.h"

namespace coppice::test {
namespace {

const float kNan = std::numeric_limits<float>::quiet_NaN();
const float kInfinity = std::numeric_limits<float>::infinity();

std::vector<int64_t> sample(const std::vector<float>& scores, size_t prefix, size_t count, SampleRule rule = SampleRule::kCdf) {
  const Guarded<float> input(scores);
  const size_t patches = scores.size() - prefix;
  Guarded<int64_t> index(prefix + std::min(count, patches));
  Guarded<uint32_t> order(patches);
  Guarded<double> sums(patches);
  const size_t rows = sample_tokens(input.data(), scores.size(), prefix, count, rule, index.data(), order.data(), sums.data());
  EXPECT_TRUE(index.untouched_before() && order.untouched_before() && sums.untouched_before());
  EXPECT_LE(rows, index.size());
  std::vector<int64_t> kept = index.values();
  kept.resize(rows);
  return kept;
}

std::vector<float> positive(size_t count, unsigned seed) {
  std::vector<float> scores = normal(count, seed);
  for (float& score : scores) score = std::exp(2 * score);
  return scores;
}

// The tokens in which the points (2k-1)/(2R) fall on the axis of shares.
std::vector<int64_t> by_points(const std::vector<float>& scores, size_t prefix, size_t count) {
  std::vector<double> sums(scores.begin() + static_cast<int64_t>(prefix), scores.end());
  std::partial_sum(sums.begin(), sums.end(), sums.begin());
  std::set<int64_t> kept;
  for (size_t i = 0; i < prefix; ++i) kept.insert(static_cast<int64_t>(i));
  for (size_t k = 1; k <= count; ++k) {
    const double point = (2 * static_cast<double>(k) - 1) / (2 * static_cast<double>(count)) * sums.back();
    kept.insert(static_cast<int64_t>(prefix) + (std::lower_bound(sums.begin(), sums.end(), point) - sums.begin()));
  }
  return {kept.begin(), kept.end()};
}

// ATS with every distance computed.
std::vector<int64_t> by_distance(const std::vector<float>& scores, size_t prefix, size_t count) {
  std::vector<int64_t> order(scores.size() - prefix);
  std::iota(order.begin(), order.end(), static_cast<int64_t>(prefix));
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return scores[a] < scores[b]; });
  std::vector<double> sums;
  for (int64_t token : order) sums.push_back((sums.empty() ? 0 : sums.back()) + scores[token]);
  const double low = sums.front(), range = sums.back() - low;
  for (double& sum : sums) sum = (sum - low) / range;
  const double start = *std::find_if(sums.begin(), sums.end(), [](double sum) { return sum > 0; });
  std::set<int64_t> kept;
  for (size_t i = 0; i < prefix; ++i) kept.insert(static_cast<int64_t>(i));
  for (size_t k = 0; k < count; ++k) {
    const double point = count > 1 ? start + (1 - start) * static_cast<double>(k) / static_cast<double>(count - 1) : start;
    size_t nearest = 0;
    for (size_t i = 0; i < sums.size(); ++i) {
      if (std::abs(sums[i] - point) < std::abs(sums[nearest] - point)) nearest = i;
    }
    kept.insert(order[nearest]);
  }
  return {kept.begin(), kept.end()};
}

TEST(Sample, ShouldEqualTheRuleByPointsOn2000RandomVectors) {
  for (unsigned seed = 0; seed < 2000; ++seed) {
    const size_t prefix = seed % 3, tokens = prefix + 1 + seed % 211, count = 1 + seed * 7 % 300;
    const std::vector<float> scores = positive(tokens, seed);
    ASSERT_EQ(sample(scores, prefix, count), by_points(scores, prefix, count)) << "seed " << seed;
  }
}

TEST(Sample, AtsShouldEqualTheRuleByDistanceOn500RandomVectors) {
  for (unsigned seed = 0; seed < 500; ++seed) {
    const size_t prefix = seed % 3, tokens = prefix + 2 + seed % 97, count = 1 + seed * 7 % 120;
    const std::vector<float> scores = positive(tokens, seed);
    ASSERT_EQ(sample(scores, prefix, count, SampleRule::kAts), by_distance(scores, prefix, count)) << "seed " << seed;
  }
}

TEST(Sample, EqualScoresShouldSpreadTheTokens) {
  EXPECT_EQ(sample(std::vector<float>(13, 0.25f), 1, 4), (std::vector<int64_t>{0, 2, 5, 8, 11}));
  EXPECT_EQ(sample(std::vector<float>(13, 0.25f), 1, 12).size(), 13u);
  EXPECT_EQ(sample(std::vector<float>(13, 0.25f), 1, 1000).size(), 13u);
}

TEST(Sample, OneHeavyTokenShouldTakeSeveralPoints) { EXPECT_EQ(sample({9, 1, 96, 1, 1, 1}, 1, 5), (std::vector<int64_t>{0, 2})); }

TEST(Sample, NoPointShouldKeepThePrefixOnly) {
  for (SampleRule rule : {SampleRule::kCdf, SampleRule::kAts}) {
    EXPECT_EQ(sample({kNan, 1, 2}, 1, 0, rule), (std::vector<int64_t>{0}));
    EXPECT_TRUE(sample({1, 2}, 0, 0, rule).empty());
    EXPECT_EQ(sample({1, 2}, 2, 5, rule), (std::vector<int64_t>{0, 1}));
    EXPECT_TRUE(sample({}, 0, 5, rule).empty());
  }
}

TEST(Sample, ALonePatchShouldBeKept) {
  for (SampleRule rule : {SampleRule::kCdf, SampleRule::kAts}) {
    for (float score : {1.0f, 0.0f, -1.0f, kNan, kInfinity}) EXPECT_EQ(sample({5, score}, 1, 3, rule), (std::vector<int64_t>{0, 1})) << score;
  }
}

TEST(Sample, WhatIsNoPositiveNumberShouldWeighNothing) {
  const std::vector<float> odd{1, kNan, 1, -5, -kInfinity, 1, 0};
  EXPECT_EQ(sample(odd, 0, 100), (std::vector<int64_t>{0, 2, 5}));
}

TEST(Sample, InfinityShouldOutweighAllNumbers) {
  EXPECT_EQ(sample({1, 1e30f, kInfinity, 3, kInfinity}, 1, 100), (std::vector<int64_t>{0, 2, 4}));
}

TEST(Sample, WithoutAnyWeightAllShouldWeighAlike) {
  EXPECT_EQ(sample(std::vector<float>(13, 0), 1, 4), sample(std::vector<float>(13, 0.25f), 1, 4));
  EXPECT_EQ(sample(std::vector<float>(13, kNan), 1, 4), sample(std::vector<float>(13, 0.25f), 1, 4));
}

TEST(Sample, HugeAndTinyScoresShouldNotOverflow) {
  EXPECT_EQ(sample({3e38f, 3e38f, 3e38f, 3e38f}, 0, 4).size(), 4u);
  EXPECT_EQ(sample({1e-45f, 1e-45f, 1e-45f, 1e-45f}, 0, 4).size(), 4u);
}

TEST(Sample, AtsShouldPassOverTheLightestToken) {
  // Sums 1 3 6 10, scaled 0, 2/9, 5/9, 1; points 2/9, 2/9 + 7/18, 1: tokens of weight 2, 3 and 4.
  EXPECT_EQ(sample({4, 1, 3, 2}, 0, 3, SampleRule::kAts), (std::vector<int64_t>{0, 2, 3}));
}

TEST(Sample, AtsShouldTakeTheFirstOfEqualSums) {
  EXPECT_EQ(sample({0, 1, 0, 0}, 0, 1, SampleRule::kAts), (std::vector<int64_t>{1}));
}

// The twin: the rule off by half a point, or by one point more, is another rule.
TEST(Sample, OnePointMoreShouldShow) {
  const std::vector<float> scores = positive(197, 1);
  EXPECT_NE(sample(scores, 1, 137), by_points(scores, 1, 138));
}

}  // namespace
}  // namespace coppice::test
