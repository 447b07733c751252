// Every body against the double-precision definition, at the sizes that break kernels.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <tuple>

#include "bodies.h"
#include "reference.h"

namespace coppice::test {
namespace {

constexpr LinearForm kRowSum{FeatureMap::kElu1, Normalize::kRowSum, 1e-6f, false, {}, nullptr};
constexpr double kPi = 3.14159265358979323846;
const float kNan = std::numeric_limits<float>::quiet_NaN();
const float kInfinity = std::numeric_limits<float>::infinity();

float default_scale(const Problem& p) { return 1 / std::sqrt(static_cast<float>(p.dim)); }

// Pruned tokens keep their places: ascending, with gaps.
size_t place(size_t token, size_t tokens, size_t length) { return token * length / tokens; }

Problem with_cosine(Problem p, size_t length) {
  for (const bool sine : {false, true}) {
    for (size_t i = 0; i < p.tokens; ++i) {
      const double angle = kPi * static_cast<double>(place(i, p.tokens, length)) / (2 * static_cast<double>(length));
      p.query_wave.push_back(static_cast<float>(sine ? std::sin(angle) : std::cos(angle)));
    }
  }
  p.key_wave = p.query_wave;
  return p;
}

// The quadratic form of the same reweighting (METHODS 1.1).
Reweight cosine(const Problem& p, size_t length) {
  return [tokens = p.tokens, length](size_t i, size_t j) {
    const double distance = static_cast<double>(place(i, tokens, length)) - static_cast<double>(place(j, tokens, length));
    return std::cos(kPi * distance / (2 * static_cast<double>(length)));
  };
}

Problem with_sizes(Problem p) {
  for (size_t i = 0; i < p.tokens; ++i) p.key_weight.push_back(1 + static_cast<float>(i % 4));
  return p;
}

Problem with_queries(Problem p) {
  // Repeated and unordered on purpose.
  for (size_t i = 0; i < p.tokens / 2 + 1; ++i) p.query_index.push_back(static_cast<int64_t>((i * 7 + 3) % p.tokens));
  return p;
}

using Shape = std::tuple<const Kernels*, size_t, size_t>;  // body, tokens, dim

class AtEveryShape : public testing::TestWithParam<Shape> {
 protected:
  const Kernels& kernels() const { return *std::get<0>(GetParam()); }
  Problem problem() const {
    const auto [body, tokens, dim] = GetParam();
    return random_problem(tokens, 1 + (tokens + dim) % 3, dim, static_cast<unsigned>(1000 * tokens + dim));
  }
};

std::string shape_name(const testing::TestParamInfo<Shape>& info) {
  return std::string(std::get<0>(info.param)->isa) + "_tokens_" + std::to_string(std::get<1>(info.param)) + "_dim_" +
         std::to_string(std::get<2>(info.param));
}

// Around each body's lanes (1, 4, 8, 16), tile rows (6), panel (up to 64), row tile (48), feature tile (32), token block (256).
INSTANTIATE_TEST_SUITE_P(Body, AtEveryShape,
                         testing::Combine(testing::ValuesIn(bodies()), testing::Values(1, 2, 5, 6, 7, 16, 17, 31, 47, 49, 65, 257),
                                          testing::Values(1, 3, 4, 5, 8, 15, 16, 17, 32, 33, 48, 64)),
                         shape_name);

TEST_P(AtEveryShape, LinearOrderShouldEqualTheDefinition) {
  const Problem p = problem();
  EXPECT_TRUE(close(run_linear(kernels(), p, kRowSum), linear_reference(p, kRowSum)));
}

TEST_P(AtEveryShape, QuadraticOrderShouldEqualTheDefinition) {
  const Problem p = problem();
  EXPECT_TRUE(close(run_quadratic(kernels(), p, kRowSum), linear_reference(p, kRowSum)));
}

TEST_P(AtEveryShape, CosineReweightingShouldEqualTheDefinition) {
  const size_t length = 2 * std::get<1>(GetParam());
  const Problem p = with_cosine(problem(), length);
  const LinearForm relu{FeatureMap::kRelu, Normalize::kSqrtD, 1e-6f, false, {}, nullptr};
  const Expected expected = linear_reference(p, relu, cosine(p, length));
  EXPECT_TRUE(close(run_linear(kernels(), p, relu, {5, 7}), expected));
  EXPECT_TRUE(close(run_quadratic(kernels(), p, relu, {5, 7}), expected));
}

TEST_P(AtEveryShape, ReceivedAttentionShouldEqualTheDefinition) {
  const Problem p = problem();
  EXPECT_TRUE(close(run_received(kernels(), p, default_scale(p), {13, 1}), received_reference(p, default_scale(p))));
}

TEST_P(AtEveryShape, CubeFactorsShouldEqualTheDefinition) {
  const Problem p = problem();
  EXPECT_TRUE(close(run_cube_factors(kernels(), p, false), cube_factor_reference(p, false)));
  EXPECT_TRUE(close(run_cube_factors(kernels(), p, true), cube_factor_reference(p, true)));
}

TEST_P(AtEveryShape, SoftmaxShouldEqualTheDefinition) {
  const Problem p = problem();
  std::vector<float> class_rows;
  EXPECT_TRUE(close(run_softmax(kernels(), p, default_scale(p), &class_rows), softmax_reference(p, default_scale(p))));
  EXPECT_TRUE(close(class_rows, class_reference(p, default_scale(p), false)));
}

TEST_P(AtEveryShape, ClassAttentionShouldEqualTheDefinition) {
  const Problem p = with_sizes(problem());
  EXPECT_TRUE(close(run_class_attention(kernels(), p, 0.3f, false), class_reference(p, 0.3f, false)));
  EXPECT_TRUE(close(run_class_attention(kernels(), p, 0.3f, true), class_reference(p, 0.3f, true)));
}

TEST_P(AtEveryShape, ValueNormsShouldEqualTheDefinition) {
  const Problem p = problem();
  EXPECT_TRUE(close(run_value_norms(kernels(), p), value_norm_reference(p)));
}

class Body : public testing::TestWithParam<const Kernels*> {
 protected:
  const Kernels& kernels() const { return *GetParam(); }
};

INSTANTIATE_TEST_SUITE_P(, Body, testing::ValuesIn(bodies()), [](const auto& info) { return std::string(info.param->isa); });

using Option = std::tuple<const Kernels*, FeatureMap, Normalize, bool>;  // body, feature map, normalisation, eps added

class WithOptions : public testing::TestWithParam<Option> {
 protected:
  const Kernels& kernels() const { return *std::get<0>(GetParam()); }
  LinearForm form() const { return {std::get<1>(GetParam()), std::get<2>(GetParam()), 0.5f, std::get<3>(GetParam()), {}, nullptr}; }
};

std::string option_name(const testing::TestParamInfo<Option>& info) {
  const auto [kernels, map, normalize, add] = info.param;
  const char* maps[] = {"_relu_", "_elu1_", "_relu_pow3_"};
  const char* forms[] = {"none", "sqrt_d", "row_sum"};
  return std::string(kernels->isa) + maps[static_cast<int>(map)] + forms[static_cast<int>(normalize)] +
         (add ? "_add" : "_clamp");
}

INSTANTIATE_TEST_SUITE_P(Body, WithOptions,
                         testing::Combine(testing::ValuesIn(bodies()), testing::Values(FeatureMap::kRelu, FeatureMap::kElu1, FeatureMap::kReluPow3),
                                          testing::Values(Normalize::kNone, Normalize::kSqrtD, Normalize::kRowSum), testing::Bool()),
                         option_name);

TEST_P(WithOptions, BothOrdersShouldHonourEveryInput) {
  Problem p = with_queries(with_sizes(with_cosine(random_problem(150, 2, 20, 7), 160)));
  for (size_t i = 0; i < p.tokens; ++i) p.query_weight.push_back(0.5f + static_cast<float>(i % 5));
  const Expected expected = linear_reference(p, form(), cosine(p, 160));
  EXPECT_TRUE(close(run_linear(kernels(), p, form()), expected));
  EXPECT_TRUE(close(run_quadratic(kernels(), p, form()), expected));
}

TEST_P(Body, SoftmaxShouldHonourSizesAndQueries) {
  Problem p = with_queries(random_problem(50, 2, 20, 8));
  for (size_t i = 0; i < p.tokens; ++i) p.key_weight.push_back(std::log(1 + static_cast<float>(i % 3)));
  EXPECT_TRUE(close(run_softmax(kernels(), p, 0.7f), softmax_reference(p, 0.7f)));
}

TEST_P(Body, SoftmaxShouldGiveTheClassRowOnlyWhereItIsAsked) {
  Problem p = random_problem(9, 1, 8, 9);
  p.query_index = {4, 5};
  std::vector<float> class_rows;
  run_softmax(kernels(), p, 1, &class_rows);
  EXPECT_TRUE(std::all_of(class_rows.begin(), class_rows.end(), [](float x) { return std::isnan(x); }));
}

TEST_P(Body, SoftmaxShouldGiveTheClassRowOfARepeatedQuery) {
  Problem p = random_problem(9, 1, 8, 22);
  p.query_index = {3, 0, 4, 0};
  std::vector<float> class_rows;
  run_softmax(kernels(), p, 1, &class_rows);
  EXPECT_TRUE(close(class_rows, class_reference(p, 1, false)));
}

TEST_P(Body, FiveWavesShouldEqualTheirSum) {
  Problem p = with_queries(random_problem(70, 2, 12, 17));
  p.query_wave = normal(5 * p.tokens, 18);
  p.key_wave = normal(5 * p.tokens, 19);
  const LinearForm none{FeatureMap::kElu1, Normalize::kNone, 1e-6f, false, {}, nullptr};
  EXPECT_TRUE(close(run_linear(kernels(), p, none), linear_reference(p, none)));
  EXPECT_TRUE(close(run_quadratic(kernels(), p, none), linear_reference(p, none)));
}

// The first block of keys sets the shift of the exponent; a key far above it in a later block makes the tile start again.
TEST_P(Body, SoftmaxShouldSurviveALateMaximum) {
  Problem p = random_problem(300, 1, 16, 20);
  for (size_t i = 0; i < p.dim; ++i) p.k(290, 0, i) *= 60;
  std::vector<float> class_rows;
  EXPECT_TRUE(close(run_softmax(kernels(), p, 1, &class_rows), softmax_reference(p, 1)));
  EXPECT_TRUE(close(class_rows, class_reference(p, 1, false)));
  EXPECT_TRUE(close(run_received(kernels(), p, 1), received_reference(p, 1)));
}

TEST_P(Body, SoftmaxShouldSurviveAFirstBlockOfSizeZero) {
  Problem p = random_problem(300, 1, 16, 21);
  p.key_weight.assign(p.tokens, 0);
  for (size_t i = 0; i < 200; ++i) p.key_weight[i] = -kInfinity;
  EXPECT_TRUE(close(run_softmax(kernels(), p, 0.25f), softmax_reference(p, 0.25)));
}

TEST_P(Body, SoftmaxShouldSurviveHugeLogits) {
  Problem p = random_problem(21, 1, 16, 10);
  for (float& x : p.qkv) x *= 100;
  const std::vector<float> y = run_softmax(kernels(), p, 1);
  EXPECT_TRUE(close(y, softmax_reference(p, 1)));
  EXPECT_TRUE(std::all_of(y.begin(), y.end(), [](float x) { return std::isfinite(x); }));
}

TEST_P(Body, SoftmaxShouldSurviveOneHugeNegativeLogit) {
  const Problem p{1, 1, 1, {-1e16f, 1e16f, 2}, {}, {}, {}, {}, {}};
  EXPECT_EQ(run_softmax(kernels(), p, 1), std::vector<float>{2});
  EXPECT_EQ(run_class_attention(kernels(), p, 1, false), std::vector<float>{1});
}

TEST_P(Body, ReceivedAttentionShouldSurviveHugeAddends) {
  Problem p = random_problem(5, 1, 4, 23);
  p.key_weight = {0, 200, 0, 200, -200};
  EXPECT_TRUE(close(run_received(kernels(), p, 1), received_reference(p, 1)));
}

TEST_P(Body, SoftmaxShouldIgnoreTokensOfSizeZero) {
  Problem p = random_problem(21, 1, 16, 11), without = p;
  p.key_weight.assign(p.tokens, 0);
  p.key_weight.back() = -kInfinity;  // log of 0
  without.tokens -= 1;
  without.qkv.resize(without.tokens * 3 * without.width());
  without.key_weight.assign(without.tokens, 0);
  std::vector<float> y = run_softmax(kernels(), p, 0.25f);
  y.resize(y.size() - p.width());
  EXPECT_TRUE(close(y, softmax_reference(without, 0.25)));
}

TEST_P(Body, RowSumShouldStayFiniteWhereNoWeightIsLeft) {
  Problem p = random_problem(13, 1, 9, 12);
  for (size_t token = 0; token < p.tokens; ++token) {
    for (size_t i = 0; i < p.dim; ++i) p.k(token, 0, i) = -1;  // relu leaves nothing
  }
  const LinearForm relu{FeatureMap::kRelu, Normalize::kRowSum, 1e-6f, false, {}, nullptr};
  const std::vector<float> zeros(p.tokens * p.width(), 0.0f);
  EXPECT_EQ(run_linear(kernels(), p, relu), zeros);
  EXPECT_EQ(run_quadratic(kernels(), p, relu), zeros);
}

TEST_P(Body, NotANumberInAValueShouldReachItsFeatureOnly) {
  Problem p = random_problem(19, 2, 11, 13);
  p.v(7, 1, 3) = kNan;
  EXPECT_TRUE(close(run_softmax(kernels(), p, 0.3f), softmax_reference(p, 0.3)));
  EXPECT_TRUE(close(run_linear(kernels(), p, kRowSum), linear_reference(p, kRowSum)));
  EXPECT_TRUE(close(run_quadratic(kernels(), p, kRowSum), linear_reference(p, kRowSum)));
}

TEST_P(Body, NotANumberInAQueryShouldReachItsRowOnly) {
  Problem p = random_problem(19, 2, 11, 14);
  p.q(5, 0, 10) = kNan;
  EXPECT_TRUE(close(run_linear(kernels(), p, kRowSum), linear_reference(p, kRowSum)));
  EXPECT_TRUE(close(run_quadratic(kernels(), p, kRowSum), linear_reference(p, kRowSum)));
  const std::vector<float> y = run_softmax(kernels(), p, 0.3f);
  for (size_t row = 0; row < p.tokens; ++row) {
    EXPECT_EQ(std::isnan(y[row * p.width()]), row == 5) << "row " << row;
  }
}

TEST_P(Body, OrderOfTokensShouldNotMatterWithoutPositions) {
  const Problem p = random_problem(33, 1, 12, 15);
  Problem turned = p;
  std::rotate(turned.qkv.begin(), turned.qkv.begin() + 10 * 3 * 12, turned.qkv.end());
  std::vector<float> y = run_linear(kernels(), turned, kRowSum);
  std::rotate(y.begin(), y.end() - 10 * 12, y.end());
  EXPECT_TRUE(close(y, linear_reference(p, kRowSum)));
}

// The twin of all the above: the comparison goes red on answers that are slightly wrong.
class Wrong : public Body {
 protected:
  const Problem problem = random_problem(49, 2, 32, 16);
  const Expected linear = linear_reference(problem, kRowSum);
  const Expected softmax = softmax_reference(problem, 0.2);
};

INSTANTIATE_TEST_SUITE_P(, Wrong, testing::ValuesIn(bodies()), [](const auto& info) { return std::string(info.param->isa); });

TEST_P(Wrong, FeatureMapShouldShow) {
  EXPECT_FALSE(close(run_linear(kernels(), problem, {FeatureMap::kRelu, Normalize::kRowSum, 1e-6f, false, {}, nullptr}), linear));
}

TEST_P(Wrong, EpsilonShouldShow) {
  EXPECT_FALSE(close(run_linear(kernels(), problem, {FeatureMap::kElu1, Normalize::kRowSum, 1, true, {}, nullptr}), linear));
}

TEST_P(Wrong, ScaleOffByAThousandthShouldShow) { EXPECT_FALSE(close(run_softmax(kernels(), problem, 0.2002f), softmax)); }

TEST_P(Wrong, OneForgottenTokenShouldShow) {
  Problem forgetful = problem;
  forgetful.key_weight.assign(problem.tokens, 1);
  forgetful.key_weight.back() = 0;
  EXPECT_FALSE(close(run_linear(kernels(), forgetful, kRowSum), linear));
  EXPECT_FALSE(close(run_quadratic(kernels(), forgetful, kRowSum), linear));
}

TEST_P(Wrong, PositionsOffByOneShouldShow) {
  const Problem p = with_cosine(problem, 60);
  EXPECT_FALSE(close(run_linear(kernels(), p, kRowSum), linear_reference(p, kRowSum, cosine(p, 61))));
}

}  // namespace
}  // namespace coppice::test
