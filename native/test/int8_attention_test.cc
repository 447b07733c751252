// Attention in bytes against its definition in double, on every body, at the sizes that break kernels.
#include <cmath>
#include <limits>
#include <tuple>

#include "bodies.h"
#include "int8_attention_reference.h"
#include "reference.h"

namespace coppice::test {
namespace {

const float kNan = std::numeric_limits<float>::quiet_NaN(), kInfinity = std::numeric_limits<float>::infinity();
constexpr float kScale = 0.3f;

using Shape = std::tuple<const Kernels*, size_t, size_t>;  // body, tokens, dim

class Int8AttentionAtEveryShape : public testing::TestWithParam<Shape> {
 protected:
  const Int8AttentionKernels& kernels() const { return int8_attention_kernels(std::get<0>(GetParam())->isa); }
  Problem problem() const {
    const auto [body, tokens, dim] = GetParam();
    return random_problem(tokens, 2, dim, static_cast<unsigned>(100 * tokens + dim));
  }
  void equal(const Problem& p, Asked asked) const {
    const auto found = run_int8_attention(kernels(), p, kScale, asked);
    const auto want = int8_attention_reference(p, kScale, asked);
    EXPECT_TRUE(close(found.y, want.y));
    if (want.scores) {
      EXPECT_TRUE(close(*found.scores, *want.scores));
    }
  }
};

// Around tiles of 4, 8 and 14 rows, panels of 16, and groups of four and of 64.
INSTANTIATE_TEST_SUITE_P(Body, Int8AttentionAtEveryShape,
                         testing::Combine(testing::ValuesIn(runnable()), testing::Values(1, 3, 4, 5, 8, 14, 15, 17, 33, 65, 130),
                                          testing::Values(1, 3, 4, 16, 17, 33, 65)),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param)->isa) + "_" + std::to_string(std::get<1>(info.param)) + "x" + std::to_string(std::get<2>(info.param));
                         });

TEST_P(Int8AttentionAtEveryShape, ShouldEqualTheDefinition) {
  Problem p = problem();
  equal(p, Asked::kClassRow);
  equal(p, Asked::kReceived);
  p.key_weight = normal(p.tokens, 7, 2);
  for (size_t r = 0; r < p.tokens + 3; ++r) p.query_index.push_back(static_cast<int64_t>(7 * r % p.tokens));
  equal(p, Asked::kClassRow);
  equal(p, Asked::kReceived);
}

class Int8Attention : public testing::TestWithParam<const Kernels*> {
 protected:
  const Int8AttentionKernels& kernels() const { return int8_attention_kernels(GetParam()->isa); }
};

INSTANTIATE_TEST_SUITE_P(, Int8Attention, testing::ValuesIn(runnable()), [](const auto& info) { return std::string(info.param->isa); });

TEST_P(Int8Attention, ShouldBeTheOneThatWasAskedFor) { EXPECT_STREQ(kernels().isa, GetParam()->isa); }

// Equal keys weigh 255 each and leave nothing to an exponential: what is compared is the int32 sums.
TEST_P(Int8Attention, IntegerSumsShouldBeThoseOfEveryBody) {
  Problem p = random_problem(197, 2, 20, 1);
  for (size_t j = 1; j < p.tokens; ++j) {
    for (size_t i = 0; i < 2 * p.dim; ++i) p.k(j, 0, i) = p.k(0, 0, i);
  }
  EXPECT_EQ(run_int8_attention(kernels(), p, kScale).y, run_int8_attention(int8_attention_kernels("scalar"), p, kScale).y);
}

// The most tokens and the widest head, at the ends of their ranges.
TEST_P(Int8Attention, ExtremeBytesShouldNotOverflow) {
  for (const float sign : {1.0f, -1.0f}) {
    Problem p{kMaxInt8Tokens, 1, 1, std::vector<float>(3 * kMaxInt8Tokens, sign), {0}, {}, {}, {}, {}};
    EXPECT_TRUE(close(run_int8_attention(kernels(), p, kScale).y, int8_attention_reference(p, kScale).y)) << sign;
    p = {2, 1, kMaxInt8Tokens, std::vector<float>(6 * kMaxInt8Tokens, 1), {}, {}, {}, {}, {}};
    for (size_t i = 0; i < p.dim; ++i) p.k(1, 0, i) = sign;
    EXPECT_TRUE(close(run_int8_attention(kernels(), p, 1e-4f).y, int8_attention_reference(p, 1e-4).y)) << sign;
  }
}

// The rule itself, where steps are small. A logit is off by half a step of each factor; twice that is an exponent of the weights. Steps of
// weights are half of 1 / 255 each, in the sum and in what it is divided by, which is 1 at least. A value is off by half its step.
TEST_P(Int8Attention, ShouldBeNearTheSoftmaxOfFloats) {
  const Problem p = random_problem(12, 2, 16, 2);
  const double scale = 0.02;
  float largest = 0;
  for (const float x : p.qkv) largest = std::max(largest, std::abs(x));
  const double step = largest / 127, logit = scale * 16 * 1.001 * (largest * step + step * step / 4);
  Expected exact = softmax_reference(p, scale);
  for (double& bound : exact.bound) bound += largest * (std::expm1(2 * logit) + 12 / 255.0) + step * 0.501;
  EXPECT_LT(exact.bound[0], 0.1 * largest);
  EXPECT_TRUE(close(run_int8_attention(kernels(), p, static_cast<float>(scale)).y, exact));
}

TEST_P(Int8Attention, NumbersWithoutRangeShouldCount) {
  for (const float value : {0.0f, 1e-40f, -1e-38f}) {
    Problem p = random_problem(9, 2, 5, 3);
    for (size_t i = 0; i < p.dim; ++i) p.q(2, 0, i) = p.k(4, 1, i) = value;
    for (size_t j = 0; j < p.tokens; ++j) p.v(j, 1, 3) = value;
    EXPECT_TRUE(close(run_int8_attention(kernels(), p, kScale).y, int8_attention_reference(p, kScale).y)) << value;
  }
}

TEST_P(Int8Attention, NotANumberShouldStayInItsRowHeadOrFeature) {
  for (const float value : {kNan, kInfinity, -kInfinity}) {
    const Problem good = random_problem(21, 3, 6, 4);
    const auto spoilt = [&](auto change, auto within) {
      Problem p = good;
      change(p) = value;
      const std::vector<float> y = run_int8_attention(kernels(), p, kScale).y;
      for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isfinite(y[i]), !within(i / 18, i % 18 / 6, i % 6)) << value << " " << i;
    };
    spoilt([](Problem& p) -> float& { return p.q(5, 1, 2); }, [](size_t row, size_t head, size_t) { return row == 5 && head == 1; });
    spoilt([](Problem& p) -> float& { return p.k(20, 1, 5); }, [](size_t, size_t head, size_t) { return head == 1; });
    spoilt([](Problem& p) -> float& { return p.v(3, 2, 4); }, [](size_t, size_t head, size_t feature) { return head == 2 && feature == 4; });
  }
}

// A token of size 0 has the addend log 0.
TEST_P(Int8Attention, TokensWithoutWeightShouldNotCount) {
  Problem p = random_problem(18, 1, 8, 5), fewer = p;
  p.key_weight.assign(18, 0);
  p.key_weight[17] = -kInfinity;
  fewer.tokens = 17;
  fewer.qkv.resize(17 * 24);
  const std::vector<float> y = run_int8_attention(kernels(), p, kScale).y, without = run_int8_attention(kernels(), fewer, kScale).y;
  // Not bit for bit: the values' steps see the token.
  for (size_t i = 0; i < without.size(); ++i) EXPECT_NEAR(y[i], without[i], 0.05) << i;
  EXPECT_TRUE(close(y, int8_attention_reference(p, kScale).y));
}

// The twin of all the above: the comparison goes red on answers that are slightly wrong.
class WrongInt8Attention : public Int8Attention {
 protected:
  Problem problem = random_problem(60, 2, 24, 6);
  const AttentionAnswer<Expected> expected = int8_attention_reference(problem, kScale, Asked::kClassRow);
};

INSTANTIATE_TEST_SUITE_P(, WrongInt8Attention, testing::ValuesIn(runnable()), [](const auto& info) { return std::string(info.param->isa); });

TEST_P(WrongInt8Attention, AStepOfAKeyShouldShow) {
  problem.k(7, 1, 3) += 0.03f;
  EXPECT_FALSE(close(*run_int8_attention(kernels(), problem, kScale, Asked::kClassRow).scores, *expected.scores));
}

TEST_P(WrongInt8Attention, AStepOfAValueShouldShow) {
  problem.v(7, 1, 3) += 0.03f;
  EXPECT_FALSE(close(run_int8_attention(kernels(), problem, kScale).y, expected.y));
}

TEST_P(WrongInt8Attention, AForgottenTokenShouldShow) {
  problem.key_weight.assign(60, 0);
  problem.key_weight[59] = -kInfinity;
  EXPECT_FALSE(close(run_int8_attention(kernels(), problem, kScale).y, expected.y));
}

TEST_P(WrongInt8Attention, FloatAttentionShouldShow) { EXPECT_FALSE(close(run_softmax(*GetParam(), problem, kScale), expected.y)); }

}  // namespace
}  // namespace coppice::test
