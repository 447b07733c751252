// Merging against its definition in double, on every body, at the sizes that break kernels.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <tuple>

#include "bodies.h"
#include "reduction.h"

namespace coppice::test {
namespace {

const float kNan = std::numeric_limits<float>::quiet_NaN();
const float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> sizes(size_t tokens) {
  std::vector<float> size(tokens);
  for (size_t i = 0; i < tokens; ++i) size[i] = 1 + static_cast<float>(i % 4);
  return size;
}

size_t most(const MergeProblem& p) { return most_merges(p.described(p.metric.data())); }

// Every token has a row, every row a token, and the rows are as many as tokens are left.
testing::AssertionResult partition(const Merged& merged, size_t tokens, size_t count) {
  const std::set<int64_t> rows(merged.group.begin(), merged.group.end());
  if (merged.rows != tokens - count || merged.group.size() != tokens) return testing::AssertionFailure() << merged.rows << " rows of " << tokens;
  if (rows.size() != merged.rows || (tokens > 0 && (*rows.begin() != 0 || *rows.rbegin() != static_cast<int64_t>(merged.rows) - 1))) {
    return testing::AssertionFailure() << rows.size() << " different groups for " << merged.rows << " rows";
  }
  return testing::AssertionSuccess();
}

using Shape = std::tuple<const Kernels*, size_t, size_t>;  // body, tokens, dim

class MergeAtEveryShape : public testing::TestWithParam<Shape> {
 protected:
  const MergeKernels& kernels() const { return merge_kernels(std::get<0>(GetParam())->isa); }
  MergeProblem problem(size_t packed_parts = 0) const {
    const auto [body, tokens, dim] = GetParam();
    MergeProblem p = random_merge(tokens, std::min<size_t>(tokens, (tokens + dim) % 3), dim, static_cast<unsigned>(1000 * tokens + dim), packed_parts);
    p.width = dim;
    p.x = normal(tokens * p.width, 3);
    return p;
  }
};

std::string shape_name(const testing::TestParamInfo<Shape>& info) {
  return std::string(std::get<0>(info.param)->isa) + "_tokens_" + std::to_string(std::get<1>(info.param)) + "_dim_" +
         std::to_string(std::get<2>(info.param));
}

// Around each body's lanes (1, 4, 8, 16), tile rows (6), panel (2 to 64 targets), source tile (24); fewer tokens than a prefix and a pair.
INSTANTIATE_TEST_SUITE_P(Body, MergeAtEveryShape,
                         testing::Combine(testing::ValuesIn(bodies()), testing::Values(0, 1, 2, 3, 4, 5, 8, 17, 31, 34, 47, 50, 99, 131, 197),
                                          testing::Values(1, 3, 4, 5, 8, 15, 16, 17, 33, 64)),
                         shape_name);

TEST_P(MergeAtEveryShape, PartnersShouldBeTheMostSimilar) {
  const MergeProblem p = problem();
  if (most(p) > 0) {
    EXPECT_TRUE(right(p, run_matches(kernels(), p)));
    EXPECT_TRUE(right(p, run_matches(kernels(), p, 7)));
  }
}

TEST_P(MergeAtEveryShape, KeysOfAPackedProjectionShouldBeAveragedOverTheHeads) {
  const MergeProblem p = problem(3);
  if (most(p) > 0) {
    EXPECT_TRUE(right(p, run_matches(kernels(), p)));
  }
}

TEST_P(MergeAtEveryShape, RowsShouldBeTheMeansOfTheirGroups) {
  MergeProblem p = problem();
  p.size = sizes(p.tokens);
  for (size_t count : {size_t{0}, most(p) / 2, most(p)}) {
    const Merged merged = run_merge(kernels(), p, count);
    EXPECT_TRUE(partition(merged, p.tokens, count));
    EXPECT_TRUE(close(merged.y, merged_reference(p, merged.group, merged.rows)));
    EXPECT_EQ(merged.size, merged_sizes(p, merged.group, merged.rows));
  }
}

class MergeBody : public testing::TestWithParam<const Kernels*> {
 protected:
  const MergeKernels& kernels() const { return merge_kernels(GetParam()->isa); }
};

INSTANTIATE_TEST_SUITE_P(, MergeBody, testing::ValuesIn(bodies()), [](const auto& info) { return std::string(info.param->isa); });

TEST_P(MergeBody, ShouldBeTheOneThatWasAskedFor) { EXPECT_STREQ(kernels().isa, GetParam()->isa); }

TEST_P(MergeBody, SizeTimesValueShouldBePreserved) {
  MergeProblem p = random_merge(197, 1, 64, 1);
  p.size = sizes(p.tokens);
  const Merged merged = run_merge(kernels(), p, 60);
  for (size_t i = 0; i < p.width; ++i) {
    double before = 0, after = 0, mass = 0;
    for (size_t token = 0; token < p.tokens; ++token) {
      before += static_cast<double>(p.size[token]) * p.x[token * p.width + i];
      mass += std::abs(static_cast<double>(p.size[token]) * p.x[token * p.width + i]);
    }
    for (size_t row = 0; row < merged.rows; ++row) after += static_cast<double>(merged.size[row]) * merged.y[row * p.width + i];
    EXPECT_NEAR(before, after, kRounding * 200 * mass);
  }
}

TEST_P(MergeBody, TokensThatStayShouldBeCopiedBitForBit) {
  const MergeProblem p = random_merge(50, 1, 16, 2);
  const Merged merged = run_merge(kernels(), p, 12);
  for (size_t token = 0; token < p.tokens; ++token) {
    if (std::count(merged.group.begin(), merged.group.end(), merged.group[token]) > 1) continue;
    const auto row = merged.y.begin() + merged.group[token] * static_cast<int64_t>(p.width);
    EXPECT_TRUE(std::equal(row, row + static_cast<int64_t>(p.width), p.x.begin() + static_cast<int64_t>(token * p.width))) << "token " << token;
  }
}

TEST_P(MergeBody, NothingShouldMoveWithoutMerges) {
  for (MergeOrder order : {MergeOrder::kTome, MergeOrder::kRaster}) {
    MergeProblem p = random_merge(21, 2, 16, 3);
    p.order = order;
    const Merged merged = run_merge(kernels(), p, 0);
    EXPECT_EQ(merged.y, p.x);
    EXPECT_EQ(merged.size, std::vector<float>(21, 1));
  }
}

TEST_P(MergeBody, PrefixShouldStayFirstAndApart) {
  for (size_t prefix : {1, 2, 3}) {
    const MergeProblem p = random_merge(30, prefix, 8, 4);
    const Merged merged = run_merge(kernels(), p, most(p));
    EXPECT_TRUE(std::equal(p.x.begin(), p.x.begin() + static_cast<int64_t>(prefix * p.width), merged.y.begin()));
    EXPECT_TRUE(std::all_of(merged.group.begin() + static_cast<int64_t>(prefix), merged.group.end(),
                            [&](int64_t row) { return row >= static_cast<int64_t>(prefix); }));
  }
}

TEST_P(MergeBody, RowsShouldComeInTheOrderOfTome) {
  // Similarities 1: token 2 with 5, token 4 with 1; token 6 is left over.
  MergeProblem p = random_merge(8, 1, 2, 5);
  p.metric = {9, 9, /*1*/ 0, 1, /*2*/ 1, 0, /*3*/ -1, -1, /*4*/ 0, 2, /*5*/ 3, 0, /*6*/ 1, -3, /*7*/ -2, -1};
  EXPECT_EQ(run_merge(kernels(), p, 2).group, (std::vector<int64_t>{0, 2, 4, 3, 2, 4, 1, 5}));
  p.order = MergeOrder::kRaster;
  EXPECT_EQ(run_merge(kernels(), p, 2).group, (std::vector<int64_t>{0, 1, 3, 2, 1, 3, 4, 5}));
}

TEST_P(MergeBody, MoreMergesShouldContainFewer) {
  const MergeProblem p = random_merge(60, 1, 16, 6);
  std::set<size_t> moved;
  for (size_t count = 0; count <= most(p); ++count) {
    MergeProblem raster = p;
    raster.order = MergeOrder::kRaster;
    const Merged merged = run_merge(kernels(), raster, count);
    std::set<size_t> now;
    std::vector<bool> seen(merged.rows);
    // In raster order a row's number is that of the token which stays, less the ones that moved before it.
    size_t row = 0;
    for (size_t token = 0; token < p.tokens; ++token) {
      if (merged.group[token] == static_cast<int64_t>(row) && (token % 2 == 1 || token == 0 || std::count(merged.group.begin(), merged.group.end(), merged.group[token]) == 1)) {
        ++row;
      } else {
        now.insert(token);
      }
    }
    EXPECT_EQ(now.size(), count);
    EXPECT_TRUE(std::includes(now.begin(), now.end(), moved.begin(), moved.end())) << count;
    moved = now;
  }
}

TEST_P(MergeBody, TiesShouldGoToTheLowerToken) {
  // Three directions, repeated at lengths of powers of two: every cosine is exactly 0 or 1.
  MergeProblem p = random_merge(51, 1, 3, 7);
  for (size_t token = 0; token < p.tokens; ++token) {
    for (size_t i = 0; i < 3; ++i) p.m(token, i) = i == token / 2 % 3 ? std::ldexp(1.0f, static_cast<int>(token % 9) - 4) : 0;
  }
  const Matches found = run_matches(kernels(), p);
  for (size_t source = 0; source < found.partner.size(); ++source) {
    // Source s is token 2s + 2 of direction (s + 1) % 3; target t is token 2t + 1 of direction t % 3.
    EXPECT_EQ(found.partner[source], (source + 1) % 3) << source;
    EXPECT_EQ(found.similarity[source], 1) << source;
  }
  const Merged merged = run_merge(kernels(), p, 3);
  for (size_t token : {2, 4, 6}) EXPECT_EQ(std::count(merged.group.begin(), merged.group.end(), merged.group[token]), 2) << token;
}

TEST_P(MergeBody, NegativeSimilaritiesShouldBeatThePadding) {
  MergeProblem p = random_merge(40, 1, 6, 8);
  for (size_t token = 0; token < p.tokens; ++token) {
    for (size_t i = 0; i < p.dim; ++i) p.m(token, i) = (token % 2 ? 1.0f : -1.0f) * (1 + static_cast<float>((token * 7 + i) % 5));
  }
  const Matches found = run_matches(kernels(), p);
  EXPECT_TRUE(right(p, found));
  EXPECT_LT(*std::max_element(found.similarity.begin(), found.similarity.end()), 0);
}

TEST_P(MergeBody, ZeroVectorsShouldHaveSimilarityZero) {
  MergeProblem p = random_merge(9, 1, 5, 9);
  for (size_t i = 0; i < p.dim; ++i) p.m(4, i) = 0;
  const Matches found = run_matches(kernels(), p);
  EXPECT_EQ(found.similarity[1], 0);
  EXPECT_EQ(found.partner[1], 0u);
  EXPECT_TRUE(right(p, found));
}

TEST_P(MergeBody, NotANumberShouldMergeLast) {
  MergeProblem p = random_merge(41, 1, 7, 10);
  p.m(5, 2) = kNan;       // a target: nobody's partner
  p.m(8, 6) = kNan;       // a source: ranks last
  p.m(10, 0) = kInfinity;
  const Matches found = run_matches(kernels(), p);
  for (uint32_t partner : found.partner) EXPECT_NE(partner, 2u);
  EXPECT_TRUE(std::isnan(found.similarity[3]) && std::isnan(found.similarity[4]));
  EXPECT_EQ(found.partner[3], 0u);
  const auto merges_with_others = [](const Merged& merged, size_t token) {
    return std::count(merged.group.begin(), merged.group.end(), merged.group[token]) > 1;
  };
  EXPECT_FALSE(merges_with_others(run_merge(kernels(), p, 18), 8));
  EXPECT_FALSE(merges_with_others(run_merge(kernels(), p, 18), 10));
  EXPECT_TRUE(merges_with_others(run_merge(kernels(), p, 19), 8));
  EXPECT_FALSE(merges_with_others(run_merge(kernels(), p, 19), 10));
}

TEST_P(MergeBody, EveryTargetNotANumberShouldStillMergeWhatIsAsked) {
  MergeProblem p = random_merge(9, 1, 3, 11);
  for (size_t token = 1; token < 9; token += 2) p.m(token, 0) = kNan;
  EXPECT_TRUE(partition(run_merge(kernels(), p, 4), 9, 4));
}

TEST_P(MergeBody, LengthsShouldNotMatter) {
  MergeProblem p = random_merge(40, 1, 12, 12), scaled = p;
  for (size_t token = 0; token < p.tokens; ++token) {
    for (size_t i = 0; i < p.dim; ++i) scaled.m(token, i) = std::ldexp(p.m(token, i), static_cast<int>(token % 40) - 20);
  }
  const Matches found = run_matches(kernels(), p), also = run_matches(kernels(), scaled);
  EXPECT_EQ(found.partner, also.partner);
  EXPECT_EQ(found.similarity, also.similarity);
}

TEST_P(MergeBody, SizesOfZeroShouldGiveThePlainMean) {
  MergeProblem p = random_merge(12, 0, 4, 13);
  p.size.assign(12, 0);
  const Merged merged = run_merge(kernels(), p, 5);
  EXPECT_TRUE(close(merged.y, merged_reference(p, merged.group, merged.rows)));
  EXPECT_EQ(merged.size, std::vector<float>(7, 0));
}

TEST(CountSimilar, ShouldCountWhatIsAboveTheThreshold) {
  const std::vector<float> similarity{0.5f, 0.4f, kNan, 0.6f, -1};
  EXPECT_EQ(count_similar(similarity.data(), 5, 0.4f), 2u);
  EXPECT_EQ(count_similar(similarity.data(), 5, -kInfinity), 4u);
  EXPECT_EQ(count_similar(similarity.data(), 5, kNan), 0u);
}

TEST(MostMerges, ShouldBeHalfOfThePatches) {
  const auto with = [](size_t tokens, size_t prefix) { return most_merges({nullptr, 1, 1, 1, tokens, prefix}); };
  EXPECT_EQ(with(197, 1), 98u);
  EXPECT_EQ(with(198, 2), 98u);
  EXPECT_EQ(with(2, 1), 0u);
  EXPECT_EQ(with(3, 0), 1u);
  EXPECT_EQ(with(4, 4), 0u);
}

TEST(MostMerges, ShouldNeverExceedSourcesOrTargets) {
  for (size_t tokens = 0; tokens < 12; ++tokens) {
    for (size_t prefix = 0; prefix <= tokens; ++prefix) {
      const Merge merge{nullptr, 1, 1, 1, tokens, prefix};
      EXPECT_EQ(merge.sources() + merge.targets(), tokens - prefix);
      EXPECT_LE(most_merges(merge), merge.sources());
      EXPECT_LE(most_merges(merge), merge.targets());
    }
  }
}

TEST(MergeKernels, ShouldServeTheIsaThatANameExtends) {
  EXPECT_STREQ(merge_kernels(bodies().back()->isa).isa, merge_kernels((bodies().back()->isa + std::string("_fp16")).c_str()).isa);
  EXPECT_STREQ(merge_kernels("sse9").isa, "scalar");
}

// The twin of all the above: what goes red on answers that are slightly wrong.
class WrongMerge : public MergeBody {
 protected:
  MergeProblem problem = [] {
    MergeProblem p = random_merge(197, 1, 64, 14);
    p.size = sizes(p.tokens);
    return p;
  }();
};

INSTANTIATE_TEST_SUITE_P(, WrongMerge, testing::ValuesIn(bodies()), [](const auto& info) { return std::string(info.param->isa); });

TEST_P(WrongMerge, SimilarityOffByATenThousandthShouldShow) {
  Matches found = run_matches(kernels(), problem);
  found.similarity[50] *= 1.0001f;
  EXPECT_FALSE(right(problem, found));
}

TEST_P(WrongMerge, SecondBestPartnerShouldShow) {
  Matches found = run_matches(kernels(), problem);
  found.partner[50] = found.partner[50] == 0 ? 1 : 0;
  found.similarity[50] = static_cast<float>(cosine(problem, 50, found.partner[50]).value);
  EXPECT_FALSE(right(problem, found));
}

TEST_P(WrongMerge, NotANumberShouldShow) {
  Matches found = run_matches(kernels(), problem);
  found.similarity[50] = kNan;
  EXPECT_FALSE(right(problem, found));
}

TEST_P(WrongMerge, ForgottenSizesShouldShow) {
  const Merged merged = run_merge(kernels(), problem, 13);
  MergeProblem unsized = problem;
  unsized.size.clear();
  EXPECT_FALSE(close(merged.y, merged_reference(unsized, merged.group, merged.rows)));
}

TEST_P(WrongMerge, ZerosShouldShow) {
  const Merged merged = run_merge(kernels(), problem, 13);
  EXPECT_FALSE(close(std::vector<float>(merged.y.size()), merged_reference(problem, merged.group, merged.rows)));
}

TEST_P(WrongMerge, OneTokenInTheWrongGroupShouldShow) {
  Merged merged = run_merge(kernels(), problem, 13);
  std::swap(merged.group[20], merged.group[30]);
  EXPECT_FALSE(close(merged.y, merged_reference(problem, merged.group, merged.rows)));
}

}  // namespace
}  // namespace coppice::test
