// Selection against a full stable sort, at sizes and scores that break selections.
#include "top_k.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "closeness.h"
#include "guarded.h"
#include "problem.h"

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

std::vector<int64_t> sorted_selection(const std::vector<float>& scores, size_t prefix, size_t count) {
  std::vector<int64_t> numbers, missing;
  for (size_t i = prefix; i < scores.size(); ++i) (std::isnan(scores[i]) ? missing : numbers).push_back(static_cast<int64_t>(i));
  std::stable_sort(numbers.begin(), numbers.end(), [&](int64_t a, int64_t b) { return scores[a] > scores[b]; });
  numbers.insert(numbers.end(), missing.begin(), missing.end());
  numbers.resize(count);
  for (size_t i = 0; i < prefix; ++i) numbers.push_back(static_cast<int64_t>(i));
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

class AnyCount : public testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(Count, AnyCount, testing::Values(0, 1, 2, 31, 95, 96, 97));

TEST_P(AnyCount, ShouldKeepTheBestInOrder) {
  const std::vector<float> scores = normal(98, 3);
  EXPECT_EQ(select(scores, 1, GetParam()), sorted_selection(scores, 1, GetParam()));
}

TEST_P(AnyCount, ShouldBreakTiesByPosition) {
  std::vector<float> scores = normal(98, 4);
  for (float& score : scores) score = std::round(score);
  EXPECT_EQ(select(scores, 1, GetParam()), sorted_selection(scores, 1, GetParam()));
}

TEST_P(AnyCount, ShouldRankNotANumberLast) {
  std::vector<float> scores = normal(98, 5);
  for (size_t i = 0; i < scores.size(); i += 3) scores[i] = kNan;
  scores[1] = -kInfinity;
  scores[2] = kInfinity;
  EXPECT_EQ(select(scores, 1, GetParam()), sorted_selection(scores, 1, GetParam()));
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
  std::vector<int64_t> index = sorted_selection(scores, 1, 12);

  std::vector<float> fused(bool mean) const {
    Guarded<float> y(width);
    fuse_pruned(scores.data(), x.data(), tokens, width, index.data(), index.size(), mean, y.data());
    EXPECT_TRUE(y.untouched_before());
    return y.values();
  }

  // Sums of up to 40 terms and three roundings more.
  Expected expected(bool mean, bool plain) const {
    Expected y{std::vector<double>(width), std::vector<double>(width)};
    double total = 0, total_mass = 0;
    for (size_t i = 0; i < tokens; ++i) {
      if (std::binary_search(index.begin(), index.end(), static_cast<int64_t>(i))) continue;
      const double weight = plain ? 1 : scores[i];
      total += weight;
      total_mass += std::abs(weight);
      for (size_t f = 0; f < width; ++f) {
        y.value[f] += weight * x[i * width + f];
        y.bound[f] += std::abs(weight * x[i * width + f]);
      }
    }
    for (size_t f = 0; f < width; ++f) {
      if (mean) y.value[f] /= total;
      y.bound[f] = 43 * kRounding * (mean ? (y.bound[f] + std::abs(y.value[f]) * total_mass) / std::abs(total) : y.bound[f]);
    }
    return y;
  }
};

TEST(FusePruned, ShouldGiveTheScoreWeightedMean) {
  const Pruning p;
  EXPECT_TRUE(close(p.fused(true), p.expected(true, false)));
  EXPECT_FALSE(close(p.fused(true), p.expected(false, false)));
}

TEST(FusePruned, ShouldGiveTheScoreWeightedSum) {
  const Pruning p;
  EXPECT_TRUE(close(p.fused(false), p.expected(false, false)));
}

TEST(FusePruned, ShouldGiveThePlainMeanWhereNoScoreIsLeft) {
  Pruning p;
  for (size_t i = 0; i < p.tokens; ++i) {
    if (!std::binary_search(p.index.begin(), p.index.end(), static_cast<int64_t>(i))) p.scores[i] = 0;
  }
  EXPECT_TRUE(close(p.fused(true), p.expected(true, true)));
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
