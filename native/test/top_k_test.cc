// Selection against a full sort, at sizes and scores that break selections.
#include "top_k.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "guarded.h"
#include "problem.h"
#include "top_k_reference.h"

namespace coppice::test {
namespace {

const float kNan = std::numeric_limits<float>::quiet_NaN();
const float kInfinity = std::numeric_limits<float>::infinity();

std::vector<int64_t> select(const std::vector<float>& scores, size_t prefix, size_t count) {
  const Guarded<float> input(scores);
  Guarded<int64_t> index(prefix + count);
  Guarded<uint32_t> order(scores.size() - prefix);
  top_k_tokens(input.data(), scores.size(), prefix, count, index.data(), order.data());
  EXPECT_TRUE(index.untouched_before());
  return index.values();
}

class AnyCount : public testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(Count, AnyCount, testing::Values(0, 1, 2, 31, 95, 96, 97));

TEST_P(AnyCount, ShouldKeepTheBestInOrder) {
  const std::vector<float> scores = normal(98, 3);
  EXPECT_EQ(select(scores, 1, GetParam()), selection_reference(scores, 1, GetParam()));
}

TEST_P(AnyCount, ShouldBreakTiesByPosition) {
  std::vector<float> scores = normal(98, 4);
  for (float& score : scores) score = std::round(score);
  EXPECT_EQ(select(scores, 1, GetParam()), selection_reference(scores, 1, GetParam()));
}

TEST_P(AnyCount, ShouldRankNotANumberLast) {
  std::vector<float> scores = normal(98, 5);
  for (size_t i = 0; i < scores.size(); i += 3) scores[i] = kNan;
  scores[1] = -kInfinity;
  scores[2] = kInfinity;
  EXPECT_EQ(select(scores, 1, GetParam()), selection_reference(scores, 1, GetParam()));
}

TEST(TopK, ShouldKeepThePrefixWhateverItsScore) {
  EXPECT_EQ(select({kNan, -1, 3, 2, 1}, 2, 1), (std::vector<int64_t>{0, 1, 2}));
}

TEST(TopK, ShouldPreferMinusInfinityToNotANumber) { EXPECT_EQ(select({kNan, -kInfinity, kNan}, 0, 1), (std::vector<int64_t>{1})); }

TEST(TopK, ShouldTreatBothZerosAsATie) { EXPECT_EQ(select({-0.0f, 0.0f}, 0, 1), (std::vector<int64_t>{0})); }

TEST(TopK, ShouldAcceptTheClassTokenAlone) { EXPECT_EQ(select({1}, 1, 0), (std::vector<int64_t>{0})); }

TEST(TopK, ShouldAcceptNoTokenAtAll) { EXPECT_TRUE(select({}, 0, 0).empty()); }

struct Pruning {
  size_t tokens = 40, width = 7;
  std::vector<float> scores = normal(40, 6), x = normal(40 * 7, 7);
  std::vector<int64_t> index = selection_reference(scores, 1, 12);

  std::vector<float> fused(bool mean) const {
    Guarded<float> y(width);
    fuse_pruned(scores.data(), x.data(), tokens, width, index.data(), index.size(), mean, y.data());
    EXPECT_TRUE(y.untouched_before());
    return y.values();
  }

  Expected expected(bool mean) const { return fused_reference(scores, x, width, index, mean); }
};

TEST(FusePruned, ShouldGiveTheScoreWeightedMean) {
  const Pruning p;
  EXPECT_TRUE(close(p.fused(true), p.expected(true)));
  EXPECT_FALSE(close(p.fused(true), p.expected(false)));
}

TEST(FusePruned, ShouldGiveTheScoreWeightedSum) {
  const Pruning p;
  EXPECT_TRUE(close(p.fused(false), p.expected(false)));
}

TEST(FusePruned, ShouldGiveThePlainMeanWhereNoScoreIsLeft) {
  Pruning p;
  for (size_t i = 0; i < p.tokens; ++i) {
    if (!std::binary_search(p.index.begin(), p.index.end(), static_cast<int64_t>(i))) p.scores[i] = 0;
  }
  Pruning even = p;
  even.scores.assign(p.tokens, 1);
  const Expected plain_mean = even.expected(true);
  EXPECT_TRUE(close(p.fused(true), plain_mean));
}

TEST(PrunedSize, ShouldCountWhatIsNotKept) {
  const std::vector<float> size{1, 2, 3, 4, 5};
  const std::vector<int64_t> index{0, 2};
  EXPECT_EQ(pruned_size(size.data(), 5, index.data(), 2), 11);
  EXPECT_EQ(pruned_size(size.data(), 5, nullptr, 0), 15);
}

TEST(GatherRows, ShouldCopyTheRowsThatTheIndexNames) {
  const std::vector<float> x{0, 1, 10, 11, 20, 21};
  const std::vector<int64_t> index{0, 2};
  Guarded<float> y(4);
  gather_rows(x.data(), 2, index.data(), 2, y.data());
  EXPECT_EQ(y.values(), (std::vector<float>{0, 1, 20, 21}));
}

}  // namespace
}  // namespace coppice::test
