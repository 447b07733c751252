// Selection above a threshold, with scores and limits that break it.
#include "threshold.h"

#include <gtest/gtest.h>

#include <limits>

#include "guarded.h"
#include "problem.h"

namespace coppice::test {
namespace {

const float kNan = std::numeric_limits<float>::quiet_NaN();
const float kInfinity = std::numeric_limits<float>::infinity();

std::vector<int64_t> above(const std::vector<float>& scores, size_t prefix, float threshold, size_t least = 0) {
  const Guarded<float> input(scores);
  Guarded<int64_t> index(scores.size());
  Guarded<uint32_t> order(scores.size() - prefix);
  const size_t rows = threshold_tokens(input.data(), scores.size(), prefix, threshold, least, index.data(), order.data());
  EXPECT_TRUE(index.untouched_before() && order.untouched_before());
  std::vector<int64_t> kept = index.values();
  kept.resize(rows);
  return kept;
}

class AnyThreshold : public testing::TestWithParam<float> {};
INSTANTIATE_TEST_SUITE_P(Value, AnyThreshold, testing::Values(-kInfinity, -1.5f, -0.1f, 0.0f, 0.3f, 2.0f, kInfinity));

TEST_P(AnyThreshold, ShouldKeepWhatIsAboveInOrder) {
  std::vector<float> scores = normal(98, 3);
  scores[5] = scores[50] = kNan;
  std::vector<int64_t> expected{0};
  for (size_t i = 1; i < scores.size(); ++i) {
    if (scores[i] > GetParam()) expected.push_back(static_cast<int64_t>(i));
  }
  EXPECT_EQ(above(scores, 1, GetParam()), expected);
}

TEST(Threshold, ShouldRefuseAScoreAtTheThreshold) { EXPECT_EQ(above({1, 2, 3}, 0, 2), (std::vector<int64_t>{2})); }

TEST(Threshold, ShouldKeepThePrefixWhateverItsScore) { EXPECT_EQ(above({kNan, -1, 3, 2, 1}, 2, 1.5f), (std::vector<int64_t>{0, 1, 2, 3})); }

TEST(Threshold, ShouldKeepTheBestWhereTooFewPass) {
  EXPECT_EQ(above({9, 1, 3, 3, 2, kNan}, 1, 5, 2), (std::vector<int64_t>{0, 2, 3}));
  EXPECT_EQ(above({9, 1, 3, 3, 2, kNan}, 1, 5, 1), (std::vector<int64_t>{0, 2}));
  EXPECT_EQ(above({9, 1, 3, 3, 2, kNan}, 1, 2.5f, 1), (std::vector<int64_t>{0, 2, 3}));
}

TEST(Threshold, ShouldKeepAllWhereTheLeastIsMoreThanThereAre) { EXPECT_EQ(above({1, kNan, 2}, 1, 5, 99), (std::vector<int64_t>{0, 1, 2})); }

TEST(Threshold, ShouldKeepNothingAboveNotANumber) { EXPECT_TRUE(above({1, 2}, 0, kNan).empty()); }

TEST(Threshold, ShouldAcceptNoPatchAtAll) {
  EXPECT_EQ(above({1}, 1, 0, 3), (std::vector<int64_t>{0}));
  EXPECT_TRUE(above({}, 0, 0, 3).empty());
}

}  // namespace
}  // namespace coppice::test
