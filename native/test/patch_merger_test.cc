// PatchMerger against its definition in double, on every body, at the sizes that break kernels.
#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "bodies.h"
#include "reduction.h"

namespace coppice::test {
namespace {

const float kNan = std::numeric_limits<float>::quiet_NaN();

using Shape = std::tuple<const Kernels*, size_t, size_t, size_t>;  // body, tokens, width, outputs

class MixAtEveryShape : public testing::TestWithParam<Shape> {
 protected:
  const PatchMergerKernels& kernels() const { return patch_merger_kernels(std::get<0>(GetParam())->isa); }
  MixProblem problem() const {
    const auto [body, tokens, width, outputs] = GetParam();
    return random_mix(tokens, width, outputs, static_cast<unsigned>(1000 * tokens + 10 * width + outputs));
  }
};

std::string shape_name(const testing::TestParamInfo<Shape>& info) {
  return std::string(std::get<0>(info.param)->isa) + "_tokens_" + std::to_string(std::get<1>(info.param)) + "_width_" +
         std::to_string(std::get<2>(info.param)) + "_outputs_" + std::to_string(std::get<3>(info.param));
}

// Around each body's lanes (1, 4, 8, 16), tile rows (6), panel (up to 64), token tile (48) and mix tile (64).
INSTANTIATE_TEST_SUITE_P(Body, MixAtEveryShape,
                         testing::Combine(testing::ValuesIn(bodies()), testing::Values(1, 2, 7, 17, 48, 49, 131),
                                          testing::Values(1, 4, 7, 16, 33, 64, 65), testing::Values(1, 3, 8, 17, 64)),
                         shape_name);

TEST_P(MixAtEveryShape, SoftmaxOverTokensShouldEqualTheDefinition) {
  const MixProblem p = problem();
  EXPECT_TRUE(close(run_mix(kernels(), p), mix_reference(p)));
}

TEST_P(MixAtEveryShape, SoftmaxOverOutputsShouldEqualTheDefinition) {
  MixProblem p = problem();
  p.over_outputs = true;
  EXPECT_TRUE(close(run_mix(kernels(), p), mix_reference(p)));
}

TEST_P(MixAtEveryShape, LayerNormShouldEqualTheDefinition) {
  MixProblem p = problem();
  p.layer_norm = true;
  p.eps = 0.01f;
  EXPECT_TRUE(close(run_mix(kernels(), p, 5, 64), mix_reference(p)));
  p.gamma = normal(p.width, 1);
  p.beta = normal(p.width, 2);
  EXPECT_TRUE(close(run_mix(kernels(), p, 5, 64), mix_reference(p)));
}

class MixBody : public testing::TestWithParam<const Kernels*> {
 protected:
  const PatchMergerKernels& kernels() const { return patch_merger_kernels(GetParam()->isa); }
};

INSTANTIATE_TEST_SUITE_P(, MixBody, testing::ValuesIn(bodies()), [](const auto& info) { return std::string(info.param->isa); });

TEST_P(MixBody, ShouldBeTheOneThatWasAskedFor) { EXPECT_STREQ(kernels().isa, GetParam()->isa); }

TEST_P(MixBody, EqualTokensShouldComeOutUnchanged) {
  MixProblem p = random_mix(50, 20, 6, 1);
  for (size_t n = 1; n < p.tokens; ++n) std::copy_n(p.x.begin(), p.width, p.x.begin() + static_cast<int64_t>(n * p.width));
  const std::vector<float> y = run_mix(kernels(), p);
  // A mean of 50 equal values: 50 roundings in the sum and as many in the divisor.
  for (size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(y[i], p.x[i % p.width], 104 * kRounding * std::abs(p.x[i % p.width]));
}

TEST_P(MixBody, WithoutWeightsEveryOutputShouldBeThePlainMean) {
  MixProblem p = random_mix(37, 12, 4, 2);
  p.w.assign(p.w.size(), 0);
  const Expected expected = mix_reference(p);
  double mean = 0;
  for (size_t n = 0; n < p.tokens; ++n) mean += p.x[n * p.width] / 37.0;
  EXPECT_NEAR(expected.value[0], mean, 1e-12);
  EXPECT_TRUE(close(run_mix(kernels(), p), expected));
}

TEST_P(MixBody, OrderOfTokensShouldNotMatter) {
  const MixProblem p = random_mix(33, 12, 5, 3);
  MixProblem turned = p;
  std::rotate(turned.x.begin(), turned.x.begin() + 10 * 12, turned.x.end());
  EXPECT_TRUE(close(run_mix(kernels(), turned), mix_reference(p)));
}

TEST_P(MixBody, HugeLogitsShouldStayFinite) {
  MixProblem p = random_mix(21, 16, 4, 4);
  p.scale = 100;
  const std::vector<float> y = run_mix(kernels(), p);
  EXPECT_TRUE(std::all_of(y.begin(), y.end(), [](float x) { return std::isfinite(x); }));
  EXPECT_TRUE(close(y, mix_reference(p)));
}

// Found by the fuzzer: the reference's weight of such a token is far below what float32 holds, the kernels' about 1e-38.
TEST_P(MixBody, WeightsBelowTheSmallestNumberShouldCountAsIt) {
  MixProblem p{2, 1, 1, {1, 60}, {2}, {}, {}};
  p.over_outputs = false;
  const std::vector<float> y = run_mix(kernels(), p);
  EXPECT_TRUE(close(y, mix_reference(p)));
  p.x = {0, -60};
  EXPECT_TRUE(close(run_mix(kernels(), p), mix_reference(p)));
}

TEST_P(MixBody, NotANumberShouldReachEveryOutput) {
  MixProblem p = random_mix(19, 11, 5, 5);
  p.x[7 * 11 + 3] = kNan;
  EXPECT_TRUE(close(run_mix(kernels(), p), mix_reference(p)));
}

TEST_P(MixBody, NotANumberInAWeightShouldReachItsOutputOnly) {
  MixProblem p = random_mix(19, 11, 5, 6);
  p.w[2 * 5 + 3] = kNan;
  const std::vector<float> y = run_mix(kernels(), p);
  EXPECT_TRUE(close(y, mix_reference(p)));
  for (size_t m = 0; m < 5; ++m) EXPECT_EQ(std::isnan(y[m * 11]), m == 3) << m;
}

// The twin of all the above: the comparison goes red on answers that are slightly wrong.
class WrongMix : public MixBody {
 protected:
  MixProblem problem = random_mix(197, 64, 8, 7);
};

INSTANTIATE_TEST_SUITE_P(, WrongMix, testing::ValuesIn(bodies()), [](const auto& info) { return std::string(info.param->isa); });

TEST_P(WrongMix, ScaleOffByAThousandthShouldShow) {
  const Expected expected = mix_reference(problem);
  problem.scale *= 1.001f;
  EXPECT_FALSE(close(run_mix(kernels(), problem), expected));
}

TEST_P(WrongMix, TheOtherAxisShouldShow) {
  const Expected expected = mix_reference(problem);
  problem.over_outputs = true;
  EXPECT_FALSE(close(run_mix(kernels(), problem), expected));
}

TEST_P(WrongMix, EpsilonShouldShow) {
  problem.layer_norm = true;
  const Expected expected = mix_reference(problem);
  problem.eps = 1e-3f;
  EXPECT_FALSE(close(run_mix(kernels(), problem), expected));
}

TEST_P(WrongMix, OneForgottenTokenShouldShow) {
  const Expected expected = mix_reference(problem);
  problem.tokens -= 1;
  problem.x.resize(problem.tokens * problem.width);
  EXPECT_FALSE(close(run_mix(kernels(), problem), expected));
}

TEST_P(WrongMix, ZerosAndNotANumberShouldShow) {
  const Expected expected = mix_reference(problem);
  std::vector<float> y = run_mix(kernels(), problem);
  EXPECT_FALSE(close(std::vector<float>(y.size()), expected));
  y[100] = kNan;
  EXPECT_FALSE(close(y, expected));
}

}  // namespace
}  // namespace coppice::test
