// Linear layers, layer norm and activations against their definitions in double, on every body, at the sizes that break kernels.
#include <cmath>
#include <limits>
#include <tuple>

#include "bodies.h"
#include "guarded.h"
#include "linear_layer.h"
#include "problem.h"

namespace coppice::test {
namespace {

const float kNan = std::numeric_limits<float>::quiet_NaN(), kInfinity = std::numeric_limits<float>::infinity();

const char* type_name(WeightType type) { return type == WeightType::kFloat ? "float" : type == WeightType::kHalf ? "half" : "int8"; }

using Shape = std::tuple<const Kernels*, WeightType, size_t, size_t, size_t>;  // body, weights, rows, depth, columns

class LinearAtEveryShape : public testing::TestWithParam<Shape> {
 protected:
  const LinearKernels& kernels() const { return linear_kernels(std::get<0>(GetParam())->isa); }
  LinearProblem problem() const {
    const auto [body, type, rows, depth, columns] = GetParam();
    return random_linear(type, rows, depth, columns, static_cast<unsigned>(1000 * rows + 10 * depth + columns));
  }
};

// Around the tiles' rows (4, 8, 14), groups of four bytes and of 64, and one and two panels of 16 columns.
INSTANTIATE_TEST_SUITE_P(Body, LinearAtEveryShape,
                         testing::Combine(testing::ValuesIn(runnable()), testing::Values(WeightType::kFloat, WeightType::kHalf, WeightType::kInt8),
                                          testing::Values(1, 2, 3, 4, 5, 13, 14, 15, 31), testing::Values(1, 3, 4, 15, 64, 65, 130),
                                          testing::Values(1, 5, 16, 17, 32, 33, 50)),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param)->isa) + "_" + type_name(std::get<1>(info.param)) + "_" +
                                  std::to_string(std::get<2>(info.param)) + "x" + std::to_string(std::get<3>(info.param)) + "x" +
                                  std::to_string(std::get<4>(info.param));
                         });

TEST_P(LinearAtEveryShape, ShouldEqualTheDefinition) {
  LinearProblem p = problem();
  EXPECT_TRUE(close(run_linear_layer(kernels(), p), linear_layer_reference(p)));
  p.residual = normal(p.rows * p.columns, 5);
  EXPECT_TRUE(close(run_linear_layer(kernels(), p, 3), linear_layer_reference(p)));
  p.residual.clear();
  p.bias.clear();
  p.activation = Activation::kGelu;
  EXPECT_TRUE(close(run_linear_layer(kernels(), p, 1), linear_layer_reference(p)));
  p.activation = Activation::kGeluTanh;
  EXPECT_TRUE(close(run_linear_layer(kernels(), p), linear_layer_reference(p)));
  if (p.type != WeightType::kInt8) return;
  p.low = -0.5f;  // both clip
  p.high = 1.25f;
  EXPECT_TRUE(close(run_linear_layer(kernels(), p, 2), linear_layer_reference(p)));
}

class LinearBody : public testing::TestWithParam<const Kernels*> {
 protected:
  const LinearKernels& kernels() const { return linear_kernels(GetParam()->isa); }
};

INSTANTIATE_TEST_SUITE_P(, LinearBody, testing::ValuesIn(runnable()), [](const auto& info) { return std::string(info.param->isa); });

TEST_P(LinearBody, ShouldBeTheOneThatWasAskedFor) { EXPECT_STREQ(kernels().isa, GetParam()->isa); }

// Units and scales of powers of two leave nothing to round: what is compared is the int32 sums.
TEST_P(LinearBody, IntegerSumsShouldBeThoseOfEveryBody) {
  LinearProblem p = random_linear(WeightType::kInt8, 29, 197, 37, 1);
  p.scale.assign(p.columns, 0.5f);
  p.bias.clear();
  for (size_t i = 0; i < p.x.size(); ++i) p.x[i] = std::nearbyint(p.x[i] * 30);
  for (size_t r = 0; r < p.rows; ++r) {
    p.x[r * p.depth] = static_cast<float>(r) * 8 - 254;
    p.x[r * p.depth + 1] = static_cast<float>(r) * 8;
  }
  for (float& x : p.x) x = std::max(x, -254.0f);
  EXPECT_EQ(run_linear_layer(kernels(), p), run_linear_layer(linear_kernels("scalar"), p));
}

// The range that a row has is the range that it is given, on every body.
TEST_P(LinearBody, GivenRangeShouldBeTheRowsOwnWhereTheyAreEqual) {
  LinearProblem p = random_linear(WeightType::kInt8, 29, 197, 37, 1);
  for (float& x : p.x) x = std::clamp(x, -2.0f, 3.0f);
  for (size_t r = 0; r < p.rows; ++r) {
    p.x[r * p.depth] = -2;
    p.x[r * p.depth + 1] = 3;
  }
  const std::vector<float> own = run_linear_layer(kernels(), p);
  p.low = -2;
  p.high = 3;
  EXPECT_EQ(run_linear_layer(kernels(), p), own);
  p.high = 3.1f;
  EXPECT_NE(run_linear_layer(kernels(), p), own);
}

TEST_P(LinearBody, InputBeyondTheRangeShouldBeItsEnd) {
  LinearProblem p = random_linear(WeightType::kInt8, 5, 70, 20, 8), ends = p;
  p.low = ends.low = -0.25f;
  p.high = ends.high = 1;
  const float far[] = {2, 1e10f, 3.4e38f, -0.3f, -1e10f, -3.4e38f};  // beyond int32's steps too
  for (size_t i = 0; i < p.x.size(); ++i) {
    p.x[i] = far[i % 6];
    ends.x[i] = p.x[i] > 0 ? 1 : -0.25f;
  }
  EXPECT_EQ(run_linear_layer(kernels(), p), run_linear_layer(kernels(), ends));
}

TEST_P(LinearBody, ExtremeBytesShouldNotOverflow) {
  LinearProblem p = random_linear(WeightType::kInt8, 3, 4096, 16, 2);
  p.w.assign(p.w.size(), 127);
  for (size_t i = 0; i < p.x.size(); ++i) p.x[i] = i % 4096 == 0 ? -127.0f : 127.0f;
  EXPECT_TRUE(close(run_linear_layer(kernels(), p), linear_layer_reference(p)));
  p.w.assign(p.w.size(), -127);
  EXPECT_TRUE(close(run_linear_layer(kernels(), p), linear_layer_reference(p)));
}

// The rule itself: each input is off by half a unit, and by the roundings of its quotient (127 of 2^-24 at most), or, clipped, by one.
TEST_P(LinearBody, QuantisedInputShouldBeNearTheInput) {
  const LinearProblem p = random_linear(WeightType::kInt8, 7, 96, 40, 3);
  Expected exact = linear_layer_reference(p, false);
  for (size_t r = 0; r < p.rows; ++r) {
    const auto [lo, hi] = std::minmax_element(p.x.begin() + static_cast<long>(r * p.depth), p.x.begin() + static_cast<long>((r + 1) * p.depth));
    const double unit = (*hi - *lo) / 254.0;
    for (size_t n = 0; n < p.columns; ++n) {
      double sum = 0;
      for (size_t k = 0; k < p.depth; ++k) sum += std::abs(p.weight(k, n));
      exact.bound[r * p.columns + n] += sum * unit * 0.501 + unit * 127 * std::abs(p.scale[n]);
    }
  }
  EXPECT_TRUE(close(run_linear_layer(kernels(), p), exact));
}

TEST_P(LinearBody, RowsWithoutRangeShouldGiveTheBias) {
  for (const float value : {0.0f, 1e-40f, -1e-38f}) {
    LinearProblem p = random_linear(WeightType::kInt8, 2, 20, 20, 4);
    p.x.assign(p.x.size(), value);
    EXPECT_TRUE(close(run_linear_layer(kernels(), p), linear_layer_reference(p))) << value;
  }
}

TEST_P(LinearBody, NotANumberShouldStayInItsRow) {
  for (const WeightType type : {WeightType::kFloat, WeightType::kHalf, WeightType::kInt8}) {
    for (const float value : {kNan, kInfinity, -kInfinity}) {
      for (const size_t at : {3, 34, 100}) {
        LinearProblem p = random_linear(type, 9, 135, 20, 5);
        p.x[4 * 135 + at] = value;
        for (const float high : {0.0f, 2.0f}) {
          if (type == WeightType::kInt8) p.high = high;
          const std::vector<float> y = run_linear_layer(kernels(), p);
          for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isfinite(y[i]), i / 20 != 4) << type_name(type) << " " << value << " " << at << " " << i;
        }
      }
    }
  }
}

TEST_P(LinearBody, RangeBeyondFloatShouldGiveNotANumber) {
  LinearProblem p = random_linear(WeightType::kInt8, 1, 8, 4, 6);
  p.x[0] = -3e38f;
  p.x[1] = 3e38f;
  for (const float y : run_linear_layer(kernels(), p)) EXPECT_TRUE(std::isnan(y));
}

// A layer that hands its input on: the activations alone, densely from -20 to 20 and at what breaks them.
TEST_P(LinearBody, ActivationsShouldEqualTheirDefinition) {
  LinearProblem p{WeightType::kFloat, 40000, 1, 1, {}, {1}, {}, {}, {}};
  for (size_t i = 0; i + 6 < p.rows; ++i) p.x.push_back((static_cast<float>(i) - 20000) / 1000);
  p.x.insert(p.x.end(), {-0.0f, 1e-30f, -1e-30f, 1e30f, 300.0f, -300.0f});
  for (const Activation activation : {Activation::kGelu, Activation::kGeluTanh}) {
    p.activation = activation;
    EXPECT_TRUE(close(run_linear_layer(kernels(), p), linear_layer_reference(p)));
  }
  p.x[7] = kNan;
  EXPECT_TRUE(std::isnan(run_linear_layer(kernels(), p)[7]));
}

TEST_P(LinearBody, TheOtherActivationShouldShow) {
  LinearProblem p{WeightType::kFloat, 3, 1, 1, {-2, 0.5f, 2}, {1}, {}, {}, {}, Activation::kGelu};
  const Expected exact = linear_layer_reference(p);
  p.activation = Activation::kGeluTanh;
  EXPECT_FALSE(close(run_linear_layer(kernels(), p), exact));
}

TEST_P(LinearBody, SwigluShouldEqualItsDefinition) {
  for (const size_t width : {1, 3, 16, 19, 40}) {
    const std::vector<float> x = normal(3 * 2 * width, 7);
    Guarded<float> found(x);
    kernels().swiglu({found.data(), 2 * width}, 3, width);
    for (size_t i = 0; i < 3 * width; ++i) {
      const double gate = x[i / width * 2 * width + i % width], value = x[(i / width * 2 + 1) * width + i % width];
      const double want = gate / (1 + std::exp(-gate)) * value;
      // An exponential of at most |gate| units, and four operations.
      EXPECT_NEAR(found[i / width * 2 * width + i % width], want, kRounding * (12 + 2 * std::abs(gate)) * std::abs(want)) << width << " " << i;
    }
  }
}

TEST_P(LinearBody, LayerNormShouldEqualItsDefinition) {
  for (const size_t width : {1, 2, 7, 16, 33, 64, 192}) {
    NormProblem p{3, width, normal(3 * width, 8), normal(width, 9), normal(width, 10)};
    p.epsilon = width == 1 ? 0.5f : 1e-6f;
    EXPECT_TRUE(close(run_layer_norm(kernels(), p), layer_norm_reference(p))) << width;
  }
}

// The twin of all the above: the comparison goes red on answers that are slightly wrong.
class WrongLinear : public testing::TestWithParam<std::tuple<const Kernels*, WeightType>> {
 protected:
  const LinearKernels& kernels() const { return linear_kernels(std::get<0>(GetParam())->isa); }
  LinearProblem problem = random_linear(std::get<1>(GetParam()), 17, 192, 40, 11);
  const Expected expected = linear_layer_reference(problem);
};

INSTANTIATE_TEST_SUITE_P(, WrongLinear,
                         testing::Combine(testing::ValuesIn(runnable()), testing::Values(WeightType::kFloat, WeightType::kHalf, WeightType::kInt8)),
                         [](const auto& info) { return std::string(std::get<0>(info.param)->isa) + "_" + type_name(std::get<1>(info.param)); });

TEST_P(WrongLinear, AnotherWeightShouldShow) {
  float& w = problem.w[100 * 40 + 7];
  w = problem.type == WeightType::kInt8 ? w + 1 : w * 1.01f;
  EXPECT_FALSE(close(run_linear_layer(kernels(), problem), expected));
}

TEST_P(WrongLinear, AForgottenBiasShouldShow) {
  problem.bias[39] = 0;
  EXPECT_FALSE(close(run_linear_layer(kernels(), problem), expected));
}

TEST_P(WrongLinear, ZerosAndNotANumberShouldShow) {
  std::vector<float> y = run_linear_layer(kernels(), problem);
  EXPECT_FALSE(close(std::vector<float>(y.size()), expected));
  y[100] = kNan;
  EXPECT_FALSE(close(y, expected));
}

}  // namespace
}  // namespace coppice::test
