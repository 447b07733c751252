// Every body of hallucinated attention against the definition in double, at the sizes that break kernels.
#include <algorithm>
#include <limits>
#include <tuple>

#include "bodies.h"
#include "hallucinated_reference.h"
#include "reference.h"

namespace coppice::test {
namespace {

const float kNan = std::numeric_limits<float>::quiet_NaN();

const HallucinationKernels& kernels_of(const Kernels& body) { return hallucination_kernels(body.isa); }

using Shape = std::tuple<const Kernels*, size_t, size_t>;  // body, tokens, dim

class HallucinatedAtEveryShape : public testing::TestWithParam<Shape> {
 protected:
  const HallucinationKernels& kernels() const { return kernels_of(*std::get<0>(GetParam())); }
  HallucinatedProblem problem(size_t dw_kernel) const {
    const auto [body, tokens, dim] = GetParam();
    return random_hallucination(tokens, 1 + (tokens + dim) % 3, 1 + (tokens * dim) % 4, dim, dw_kernel, static_cast<unsigned>(1000 * tokens + dim));
  }
};

// Around each body's lanes (1, 4, 8, 16), panel (up to 64), blocks of 24 rows and their halo, calls of 46 rows.
INSTANTIATE_TEST_SUITE_P(Body, HallucinatedAtEveryShape,
                         testing::Combine(testing::ValuesIn(bodies()), testing::Values(1, 2, 3, 7, 16, 17, 23, 24, 25, 26, 46, 47, 48, 63, 64, 65, 97),
                                          testing::Values(1, 3, 4, 8, 15, 16, 17, 33, 64)),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param)->isa) + "_tokens_" + std::to_string(std::get<1>(info.param)) + "_dim_" +
                                  std::to_string(std::get<2>(info.param));
                         });

TEST_P(HallucinatedAtEveryShape, MixShouldEqualTheDefinition) {
  const HallucinatedProblem p = problem(0);
  EXPECT_TRUE(close(run_hallucinated(kernels(), p), hallucinated_reference(p)));
}

TEST_P(HallucinatedAtEveryShape, MixAndConvolutionShouldEqualTheDefinition) {
  const HallucinatedProblem p = problem(3);
  EXPECT_TRUE(close(run_hallucinated(kernels(), p), hallucinated_reference(p)));
}

TEST_P(HallucinatedAtEveryShape, LogitsShouldEqualTheDefinition) {
  HallucinatedProblem p = problem(3);
  p.before_softmax = true;
  EXPECT_TRUE(close(run_hallucinated(kernels(), p), hallucinated_reference(p)));
}

using Option = std::tuple<const Kernels*, bool, size_t, bool, Renorm>;  // body, mix, dw_kernel, before the softmax, renorm

class HallucinatedWithOptions : public testing::TestWithParam<Option> {
 protected:
  const HallucinationKernels& kernels() const { return kernels_of(*std::get<0>(GetParam())); }
  HallucinatedProblem problem() const {
    const auto [body, mix, dw_kernel, before, renorm] = GetParam();
    HallucinatedProblem p = random_hallucination(61, 2, 3, 20, dw_kernel, 7);
    if (!mix) p.mix.clear();
    p.before_softmax = before;
    p.renorm = renorm;
    if (renorm == Renorm::kRowSum) {
      // Sums of both signs would cancel; the clamp has a test of its own.
      for (float& weight : p.mix) weight = std::abs(weight);
      for (float& weight : p.dw) weight = std::abs(weight);
    }
    // Weights are about 1/61: a smaller epsilon would magnify their rounding where three made weights are nearly equal.
    if (renorm == Renorm::kLayerNorm) p.eps = 1e-4f;
    return p;
  }
};

std::string option_name(const testing::TestParamInfo<Option>& info) {
  const auto [body, mix, dw_kernel, before, renorm] = info.param;
  const char* renorms[] = {"none", "row_sum", "layernorm"};
  return std::string(body->isa) + (mix ? "_mix" : "") + "_dw" + std::to_string(dw_kernel) + (before ? "_pre_" : "_post_") +
         renorms[static_cast<int>(renorm)];
}

INSTANTIATE_TEST_SUITE_P(Mixed, HallucinatedWithOptions,
                         testing::Combine(testing::ValuesIn(bodies()), testing::Values(true), testing::Values(0, 1, 3), testing::Bool(),
                                          testing::Values(Renorm::kNone, Renorm::kLayerNorm)),
                         option_name);
INSTANTIATE_TEST_SUITE_P(Convolved, HallucinatedWithOptions,
                         testing::Combine(testing::ValuesIn(bodies()), testing::Values(false), testing::Values(1, 3), testing::Bool(),
                                          testing::Values(Renorm::kNone, Renorm::kLayerNorm)),
                         option_name);
INSTANTIATE_TEST_SUITE_P(Renormalised, HallucinatedWithOptions,
                         testing::Combine(testing::ValuesIn(bodies()), testing::Values(true), testing::Values(0, 1, 3), testing::Values(false),
                                          testing::Values(Renorm::kRowSum)),
                         option_name);

TEST_P(HallucinatedWithOptions, ShouldEqualTheDefinition) {
  const HallucinatedProblem p = problem();
  EXPECT_TRUE(close(run_hallucinated(kernels(), p), hallucinated_reference(p)));
}

TEST_P(HallucinatedWithOptions, ShouldNotDependOnHowRowsAreShared) {
  const HallucinatedProblem p = problem();
  const Expected y = hallucinated_reference(p);
  for (size_t rows : {1, 2, 5, 24, 25, 61}) EXPECT_TRUE(close(run_hallucinated(kernels(), p, rows), y)) << rows << " rows a call";
}

class HallucinatedBody : public testing::TestWithParam<const Kernels*> {
 protected:
  const HallucinationKernels& kernels() const { return kernels_of(*GetParam()); }
};

INSTANTIATE_TEST_SUITE_P(, HallucinatedBody, testing::ValuesIn(bodies()), [](const auto& info) { return std::string(info.param->isa); });

TEST_P(HallucinatedBody, ShouldHaveTheNameOfItsInstructionSet) { EXPECT_STREQ(kernels().isa, GetParam()->isa); }

TEST_P(HallucinatedBody, IdentityMixShouldShareTheRealMaps) {
  // Head 1 is made as head 0's map: its y is softmax attention with head 0's q and k, the oracle of TokenAttention.
  HallucinatedProblem p = random_hallucination(53, 1, 1, 24, 0, 8);
  p.mix = {1};
  Problem softmax{53, 1, 24, {}, {}, {}, {}, {}, {}};
  for (size_t token = 0; token < 53; ++token) {
    const float* row = p.qkv.data() + token * p.width();
    softmax.qkv.insert(softmax.qkv.end(), row, row + 2 * 24);
    softmax.qkv.insert(softmax.qkv.end(), row + 3 * 24, row + 4 * 24);
  }
  const std::vector<float> y = run_hallucinated(kernels(), p);
  std::vector<float> made;
  for (size_t token = 0; token < 53; ++token) made.insert(made.end(), y.data() + (2 * token + 1) * 24, y.data() + (2 * token + 2) * 24);
  EXPECT_TRUE(close(made, softmax_reference(softmax, 1 / std::sqrt(24.0))));
}

TEST_P(HallucinatedBody, OneTapShouldShiftTheMapAndPadWithZeros) {
  // A'[i, j] = A[i, j + 1]: the last column of the shifted map is the padding's, in every row, the class token's too.
  HallucinatedProblem p = random_hallucination(30, 1, 1, 8, 3, 9);
  p.mix.clear();
  p.dw = {0, 0, 0, 0, 0, 1, 0, 0, 0};
  HallucinatedProblem unshifted = p;
  unshifted.dw = {0, 0, 0, 0, 1, 0, 0, 0, 0};
  // v rolled the other way, with a zero where the padding is, gives the same y.
  for (size_t token = 30; token-- > 0;) {
    for (size_t i = 0; i < 8; ++i) unshifted.v(token, 1, i) = token ? p.v(token - 1, 1, i) : 0;
  }
  EXPECT_TRUE(close(run_hallucinated(kernels(), p), hallucinated_reference(unshifted)));
}

TEST_P(HallucinatedBody, RowSumShouldStayFiniteWhereNoWeightIsLeft) {
  HallucinatedProblem p = random_hallucination(27, 2, 2, 9, 0, 10);
  p.mix = {0, 0, -1, -1};  // sums of 0 and of -2 are clamped to eps
  p.renorm = Renorm::kRowSum;
  p.eps = 0.5f;
  const std::vector<float> y = run_hallucinated(kernels(), p);
  EXPECT_TRUE(close(y, hallucinated_reference(p)));
  EXPECT_TRUE(std::all_of(y.begin(), y.end(), [](float x) { return std::isfinite(x); }));
}

TEST_P(HallucinatedBody, ShouldSurviveHugeLogits) {
  HallucinatedProblem p = random_hallucination(37, 2, 2, 16, 3, 11);
  for (size_t i = 0; i < p.qkv.size(); ++i) p.qkv[i] *= 30;
  const std::vector<float> y = run_hallucinated(kernels(), p);
  EXPECT_TRUE(close(y, hallucinated_reference(p)));
  EXPECT_TRUE(std::all_of(y.begin(), y.end(), [](float x) { return std::isfinite(x); }));
}

TEST_P(HallucinatedBody, NotANumberInAValueShouldReachItsFeatureOnly) {
  HallucinatedProblem p = random_hallucination(33, 2, 2, 11, 3, 12);
  p.v(7, 3, 3) = kNan;
  EXPECT_TRUE(close(run_hallucinated(kernels(), p), hallucinated_reference(p)));
}

TEST_P(HallucinatedBody, NotANumberInAQueryShouldReachItsRowAndThoseBesideIt) {
  HallucinatedProblem p = random_hallucination(33, 1, 1, 11, 3, 13);
  p.q(25, 0, 10) = kNan;
  const std::vector<float> y = run_hallucinated(kernels(), p);
  for (size_t row = 0; row < p.tokens; ++row) {
    EXPECT_EQ(std::isnan(y[row * 22]), row == 25) << "real head, row " << row;
    EXPECT_EQ(std::isnan(y[row * 22 + 11]), row >= 24 && row <= 26) << "made head, row " << row;
  }
}

TEST_P(HallucinatedBody, ScratchShouldStayFarBelowAMap) {
  // O(N d) shared and O(rows N) private: at 4096 tokens a twentieth of the three computed maps.
  const Hallucination h{nullptr, 4096, 3, 3, 64, nullptr, nullptr, 0, false, Renorm::kNone, 0, nullptr};
  const HallucinationScratch need = kernels().scratch(h);
  EXPECT_LE(need.packed, 3u * 4096 * 64);
  EXPECT_LE(need.worker, 3u * 4096 * 4096 / 20);
}

// The twin of all the above: the comparison goes red on answers that are slightly wrong.
class WrongHallucination : public HallucinatedBody {
 protected:
  const HallucinatedProblem problem = random_hallucination(49, 2, 2, 32, 3, 14);
  const Expected expected = hallucinated_reference(problem);
};

INSTANTIATE_TEST_SUITE_P(, WrongHallucination, testing::ValuesIn(bodies()), [](const auto& info) { return std::string(info.param->isa); });

TEST_P(WrongHallucination, MixOffByAThousandthShouldShow) {
  HallucinatedProblem wrong = problem;
  wrong.mix[1] *= 1.001f;
  EXPECT_FALSE(close(run_hallucinated(kernels(), wrong), expected));
}

TEST_P(WrongHallucination, OneCornerOfTheConvolutionShouldShow) {
  HallucinatedProblem wrong = problem;
  wrong.dw[0] = 0;
  EXPECT_FALSE(close(run_hallucinated(kernels(), wrong), expected));
}

TEST_P(WrongHallucination, TransposedConvolutionShouldShow) {
  HallucinatedProblem wrong = problem;
  std::swap(wrong.dw[1], wrong.dw[3]);
  EXPECT_FALSE(close(run_hallucinated(kernels(), wrong), expected));
}

TEST_P(WrongHallucination, AnotherPartnerShouldShow) {
  HallucinatedProblem wrong = problem;
  std::swap_ranges(wrong.dw.begin(), wrong.dw.begin() + 9, wrong.dw.begin() + 9);
  EXPECT_FALSE(close(run_hallucinated(kernels(), wrong), expected));
}

TEST_P(WrongHallucination, MissingRenormalisationShouldShow) {
  HallucinatedProblem wrong = problem;
  wrong.renorm = Renorm::kLayerNorm;
  wrong.eps = 1e-4f;
  EXPECT_FALSE(close(run_hallucinated(kernels(), wrong), expected));
}

TEST_P(WrongHallucination, NotANumberAndZerosShouldShow) {
  std::vector<float> y(expected.value.begin(), expected.value.end());
  EXPECT_TRUE(close(y, expected));
  y[100] = kNan;
  EXPECT_FALSE(close(y, expected));
  EXPECT_FALSE(close(std::vector<float>(y.size(), 0.0f), expected));
}

}  // namespace
}  // namespace coppice::test
