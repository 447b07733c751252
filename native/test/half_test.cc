// float16 conversions of every body against their definition.
#include <cmath>
#include <limits>
#include <random>

#include "bodies.h"
#include "guarded.h"
#include "half.h"

namespace coppice::test {
namespace {

class Half : public testing::TestWithParam<const Kernels*> {
 protected:
  std::vector<float> widened(const std::vector<uint16_t>& half) const {
    const Guarded<uint16_t> in(half);
    Guarded<float> out(half.size());
    GetParam()->widen(in.data(), half.size(), out.data());
    return out.values();
  }
  std::vector<uint16_t> narrowed(const std::vector<float>& x) const {
    const Guarded<float> in(x);
    Guarded<uint16_t> out(x.size());
    GetParam()->narrow(in.data(), x.size(), out.data());
    return out.values();
  }
};

INSTANTIATE_TEST_SUITE_P(, Half, testing::ValuesIn(bodies()), [](const auto& info) { return std::string(info.param->isa); });

std::vector<uint16_t> every_half() {
  std::vector<uint16_t> all(65536);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint16_t>(i);
  return all;
}

TEST_P(Half, ShouldWidenEveryValueExactly) {
  const std::vector<float> wide = widened(every_half());
  for (size_t i = 0; i < wide.size(); ++i) {
    const double value = half_value(static_cast<uint16_t>(i));
    ASSERT_TRUE(std::isnan(value) ? std::isnan(wide[i]) : wide[i] == value && std::signbit(wide[i]) == std::signbit(value)) << "half " << i;
  }
}

TEST_P(Half, ShouldNarrowItsOwnValuesToThemselves) {
  const std::vector<uint16_t> all = every_half(), back = narrowed(widened(all));
  for (size_t i = 0; i < all.size(); ++i) {
    ASSERT_TRUE(std::isnan(half_value(all[i])) ? std::isnan(half_value(back[i])) : back[i] == all[i]) << "half " << i;
  }
}

// Every number between two halves rounds to the nearer one, and the middle to the even one; up to infinity.
TEST_P(Half, ShouldRoundToNearestEven) {
  std::vector<float> x;
  std::vector<uint16_t> expected;
  for (uint16_t low = 0; low < 0x7c00; ++low) {
    const double below = half_value(low), above = low + 1 == 0x7c00 ? 65536.0 : half_value(static_cast<uint16_t>(low + 1));
    const auto middle = static_cast<float>((below + above) / 2);
    const uint16_t even = low % 2 == 0 ? low : static_cast<uint16_t>(low + 1);
    x.insert(x.end(), {middle, std::nextafter(middle, 0.0f), std::nextafter(middle, 1e6f), -middle});
    expected.insert(expected.end(), {even, low, static_cast<uint16_t>(low + 1), static_cast<uint16_t>(even | 0x8000)});
  }
  const std::vector<uint16_t> found = narrowed(x);
  for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(found[i], expected[i]) << x[i];
}

TEST_P(Half, ShouldRoundWhatIsTooLargeToInfinity) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(narrowed({65520, 1e30f, infinity, -infinity, 65519}), (std::vector<uint16_t>{0x7c00, 0x7c00, 0x7c00, 0xfc00, 0x7bff}));
}

TEST_P(Half, ShouldKeepNotANumber) {
  for (const uint16_t half : narrowed({NAN, -NAN, std::nanf("1")})) EXPECT_TRUE(std::isnan(half_value(half)));
}

}  // namespace
}  // namespace coppice::test
