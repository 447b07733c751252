#include "linear_layer.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "attention.h"
#include "guarded.h"
#include "half.h"
#include "problem.h"

namespace coppice::test {
namespace {

uint16_t to_half(float x) {
  uint16_t half;
  scalar::kKernels.narrow(&x, 1, &half);
  return half;
}

// The rule of linear.h; a row that is not finite has a unit of NaN.
struct QuantisedRow {
  float unit;
  std::vector<int> q;  // less zero
};

QuantisedRow quantise(const LinearProblem& p, const float* x) {
  const size_t depth = p.depth;
  const bool own = p.low == 0 && p.high == 0;
  float lo = p.low, hi = p.high;
  bool finite = true;
  for (size_t k = 0; k < depth; ++k) {
    finite = finite && std::isfinite(x[k]);
    if (own) lo = std::min(lo, x[k]), hi = std::max(hi, x[k]);
  }
  if (!finite || !std::isfinite(hi - lo)) return {NAN, std::vector<int>(depth)};
  float unit = (hi - lo) / 254;
  if (unit < 0x1p-126f) unit = 1;
  const float inverse = 1 / unit;
  const auto rounded = [&](float value) {
    volatile const float product = value * inverse;  // rounded to float32 by itself
    return static_cast<int>(std::nearbyint(product));
  };
  const int zero = rounded(-lo) - 127;
  QuantisedRow row{unit, {}};
  for (size_t k = 0; k < depth; ++k) row.q.push_back(std::min(127, rounded(std::clamp(x[k], lo, hi)) + zero) - zero);
  return row;
}

double activated(Activation activation, double x) {
  if (activation == Activation::kGelu) return x * 0.5 * std::erfc(-x / std::sqrt(2.0));
  if (activation == Activation::kGeluTanh) return 0.5 * x * (1 + std::tanh(std::sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
  return x;
}

}  // namespace

LinearProblem random_linear(WeightType type, size_t rows, size_t depth, size_t columns, unsigned seed) {
  LinearProblem p{type, rows, depth, columns, normal(rows * depth, seed), normal(depth * columns, seed + 1), {}, normal(columns, seed + 2), {}};
  if (type == WeightType::kHalf) {
    for (float& w : p.w) w = static_cast<float>(half_value(to_half(w)));
  }
  if (type == WeightType::kInt8) {
    for (float& w : p.w) w = std::clamp(std::nearbyint(w * 50), -127.0f, 127.0f);
    p.scale = normal(columns, seed + 3);
  }
  return p;
}

std::vector<char> packed_weights(const LinearProblem& p) {
  const bool bytes = p.type == WeightType::kInt8;
  const size_t panels = (p.columns + 15) / 16, group = bytes ? 4 : 1, steps = (p.depth + group - 1) / group;
  const size_t width = bytes ? 1 : p.type == WeightType::kHalf ? 2 : 4;
  std::vector<char> packed(panels * steps * 16 * group * width);
  for (size_t k = 0; k < p.depth; ++k) {
    for (size_t n = 0; n < p.columns; ++n) {
      const size_t at = ((n / 16 * steps + k / group) * 16 + n % 16) * group + k % group;
      const float w = p.w[k * p.columns + n];
      const uint16_t half = to_half(w);
      char* const out = packed.data() + at * width;
      if (width == 1) *out = static_cast<char>(static_cast<int8_t>(w));
      if (width == 2) std::memcpy(out, &half, width);
      if (width == 4) std::memcpy(out, &w, width);
    }
  }
  return packed;
}

std::vector<int32_t> weight_sums(const LinearProblem& p) {
  std::vector<int32_t> sums(p.columns);
  for (size_t i = 0; i < p.w.size(); ++i) sums[i % p.columns] += static_cast<int32_t>(p.w[i]);
  return sums;
}

std::vector<float> run_linear_layer(const LinearKernels& kernels, const LinearProblem& p, size_t gap, bool in_place) {
  const bool bytes = p.type == WeightType::kInt8;
  const Guarded<char> weight(packed_weights(p));
  const Guarded<float> scale(p.scale), bias(p.bias), residual(p.residual);
  const Guarded<int32_t> sums(bytes ? weight_sums(p) : std::vector<int32_t>());
  const Linear layer{p.type, p.depth, p.columns, weight.data(), bytes ? scale.data() : nullptr, bytes ? sums.data() : nullptr,
                     p.bias.empty() ? nullptr : bias.data(), p.low, p.high};
  // The last row ends at the guard page.
  const auto length = [&](size_t width) { return p.rows * (width + gap) - (p.rows > 0 ? gap : 0); };
  Guarded<float> x(length(p.depth)), y(length(p.columns)), scratch(kernels.scratch(layer, p.rows));
  for (size_t r = 0; r < p.rows; ++r) std::copy_n(p.x.begin() + static_cast<long>(r * p.depth), p.depth, x.data() + r * (p.depth + gap));
  for (size_t i = 0; in_place && i < p.residual.size(); ++i) y[i / p.columns * (p.columns + gap) + i % p.columns] = p.residual[i];
  ConstRows added{p.residual.empty() ? nullptr : residual.data(), p.columns};
  if (in_place) added = {y.data(), p.columns + gap};
  kernels.linear(layer, {{x.data(), p.depth + gap}, p.rows, p.activation, added, {y.data(), p.columns + gap}}, scratch.data());
  EXPECT_TRUE(y.untouched_before() && scratch.untouched_before());
  std::vector<float> found(p.rows * p.columns);
  for (size_t i = 0; i < found.size(); ++i) found[i] = y[i / p.columns * (p.columns + gap) + i % p.columns];
  for (size_t r = 0; r + 1 < p.rows; ++r) {
    for (size_t i = 0; i < gap; ++i) EXPECT_TRUE(std::isnan(y[r * (p.columns + gap) + p.columns + i])) << "written behind row " << r;
  }
  return found;
}

// A sum of `depth` products and a bias is off by a rounding for each (2 depth where products are rounded too); an int8 layer's exact
// sum by that of its conversion, two products and their factor. An activation's slope is at most 1.13; its own error 4 (gelu) or, for the
// tanh form, that of an exponential (2 + 1 for each unit of its argument, which stops counting beyond 20) and of six operations.
Expected linear_layer_reference(const LinearProblem& p, bool quantised) {
  Expected y{std::vector<double>(p.rows * p.columns), std::vector<double>(p.rows * p.columns)};
  for (size_t r = 0; r < p.rows; ++r) {
    const float* x = p.x.data() + r * p.depth;
    const bool bytes = p.type == WeightType::kInt8 && quantised;
    const QuantisedRow row = bytes ? quantise(p, x) : QuantisedRow{};
    for (size_t n = 0; n < p.columns; ++n) {
      double sum = 0, mass = 0;
      for (size_t k = 0; k < p.depth; ++k) {
        const double term = bytes ? row.q[k] * static_cast<double>(p.w[k * p.columns + n]) : x[k] * p.weight(k, n);
        sum += term;
        mass += std::abs(term);
      }
      if (bytes) {
        sum *= static_cast<double>(row.unit) * static_cast<double>(p.scale[n]);
        mass = std::abs(sum);
      }
      const double terms = bytes ? 6 : 2 * static_cast<double>(p.depth) + 4;
      const double bias = p.bias.empty() ? 0 : p.bias[n], residual = p.residual.empty() ? 0 : p.residual[r * p.columns + n];
      const double before = sum + bias + residual;
      double& value = y.value[r * p.columns + n];
      double& bound = y.bound[r * p.columns + n];
      value = activated(p.activation, before);
      // The smallest normal number: what is below it may be lost.
      bound = kRounding * terms * (mass + std::abs(bias) + std::abs(residual)) + 0x1p-126;
      if (p.activation != Activation::kNone) bound = 1.13 * bound + kRounding * (p.activation == Activation::kGelu ? 4 : 32) * std::abs(before) + 6e-9;
      if (mass > 1e37) bound = INFINITY;
    }
  }
  return y;
}

std::vector<float> run_layer_norm(const LinearKernels& kernels, const NormProblem& p) {
  const Guarded<float> x(p.x), weight(p.weight), bias(p.bias);
  Guarded<float> y(p.x.size());
  kernels.layer_norm({p.width, weight.data(), bias.data(), p.epsilon}, {x.data(), p.width}, p.rows, {y.data(), p.width});
  EXPECT_TRUE(y.untouched_before());
  return y.values();
}

// The mean is off by `width` roundings of the largest value, each difference by that and one more; the variance's error, relative,
// is twice theirs and `width` roundings; half of it reaches the factor.
Expected layer_norm_reference(const NormProblem& p) {
  Expected y{std::vector<double>(p.x.size()), std::vector<double>(p.x.size())};
  const auto width = static_cast<double>(p.width);
  for (size_t r = 0; r < p.rows; ++r) {
    const float* x = p.x.data() + r * p.width;
    double mean = 0, variance = 0, top = 0;
    for (size_t i = 0; i < p.width; ++i) mean += x[i] / width, top = std::max(top, std::abs(static_cast<double>(x[i])));
    for (size_t i = 0; i < p.width; ++i) variance += (x[i] - mean) * (x[i] - mean) / width;
    const double deviation = std::sqrt(variance + static_cast<double>(p.epsilon)), shift = kRounding * (width + 1) * top / deviation;
    for (size_t i = 0; i < p.width; ++i) {
      const double unit = (x[i] - mean) / deviation, scaled = unit * p.weight[i];
      y.value[r * p.width + i] = scaled + p.bias[i];
      y.bound[r * p.width + i] = std::abs(p.weight[i]) * shift + std::abs(scaled) * (kRounding * (width + 6) + 2 * shift) +
                                 kRounding * (std::abs(p.bias[i]) + std::abs(scaled));
    }
  }
  return y;
}

}  // namespace coppice::test
