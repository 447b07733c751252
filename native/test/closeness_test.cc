// The comparison itself: what it must call wrong.
#include "closeness.h"

#include "reference.h"

namespace coppice::test {
namespace {

class Closeness : public testing::Test {
 protected:
  const Problem problem = random_problem(49, 2, 32, 1);
  const Expected expected = softmax_reference(problem, 0.2);
  std::vector<float> exact{expected.value.begin(), expected.value.end()};
};

TEST_F(Closeness, ShouldAcceptTheRoundedReference) { EXPECT_TRUE(close(exact, expected)); }

TEST_F(Closeness, ShouldRefuseZeros) { EXPECT_FALSE(close(std::vector<float>(exact.size(), 0.0f), expected)); }

TEST_F(Closeness, ShouldRefuseOneNotANumber) {
  exact[17] = NAN;
  EXPECT_FALSE(close(exact, expected));
}

TEST_F(Closeness, ShouldRefuseANumberWhereNoneIsExpected) {
  Expected with_nan = expected;
  with_nan.value[17] = NAN;
  EXPECT_FALSE(close(exact, with_nan));
}

TEST_F(Closeness, ShouldRefuseOneValueOffByATenThousandth) {
  exact[17] += 1e-4f;
  EXPECT_FALSE(close(exact, expected));
}

TEST_F(Closeness, ShouldRefuseAnotherLength) {
  exact.pop_back();
  EXPECT_FALSE(close(exact, expected));
}

TEST_F(Closeness, ReferenceShouldEqualAHandWorkedCase) {
  // Two tokens of one feature: q = 1, 0; k = 0, ln 3; v = 4, 8. Row 0 weighs 1 : 3, row 1 weighs 1 : 1.
  const Problem p{2, 1, 1, {1, 0, 4, 0, static_cast<float>(std::log(3.0)), 8}, {}, {}, {}, {}, {}};
  const Expected y = softmax_reference(p, 1);
  EXPECT_NEAR(y.value[0], 7, 1e-6);
  EXPECT_NEAR(y.value[1], 6, 1e-6);
  // relu(q) relu(k): row 0 sees token 1 only, row 1 sees nothing.
  const Expected linear = linear_reference(p, {FeatureMap::kRelu, Normalize::kRowSum, 1e-6f, false, {}, nullptr});
  EXPECT_NEAR(linear.value[0], 8, 1e-6);
  EXPECT_EQ(linear.value[1], 0);
}

}  // namespace
}  // namespace coppice::test
