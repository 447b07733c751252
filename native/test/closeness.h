// Comparison with a reference that knows how far float32 may be off.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace coppice::test {

// Values in double and the rounding error that a correct float32 computation of each may have; infinite where an intermediate
// result may pass what float32 holds, so that nothing can be asked of the value.
struct Expected {
  std::vector<double> value, bound;
};

// Half a unit in the last place of float32, relative.
constexpr double kRounding = 1.0 / (1 << 24);

// Below e^-87 the kernels' exponential stays at about 1e-38 where the true one goes on falling.
constexpr double kSmallestWeight = 2e-38;

// Equal within the bounds; NaN where and only where NaN is expected and the bound is not infinite.
inline testing::AssertionResult close(const std::vector<float>& found, const Expected& expected) {
  if (found.size() != expected.value.size()) {
    return testing::AssertionFailure() << "expected " << expected.value.size() << " values, found " << found.size();
  }
  for (size_t i = 0; i < found.size(); ++i) {
    const double want = expected.value[i];
    if (std::isinf(expected.bound[i])) continue;
    const bool same = std::isnan(want) ? std::isnan(found[i]) : std::abs(found[i] - want) <= expected.bound[i] || found[i] == want;
    if (!same) return testing::AssertionFailure() << "value " << i << ": expected " << want << " within " << expected.bound[i] << ", found " << found[i];
  }
  return testing::AssertionSuccess();
}

}  // namespace coppice::test
