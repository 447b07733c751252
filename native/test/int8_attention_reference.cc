#include "int8_attention_reference.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace coppice::test {
namespace {

// The rule of int8_attention.h for `count` numbers, which value(i) gives.
struct Steps {
  float unit;
  std::vector<int> q;
};

template <class Value>
Steps steps(size_t count, Value value) {
  float largest = 0;
  for (size_t i = 0; i < count; ++i) {
    if (!std::isfinite(value(i))) return {NAN, std::vector<int>(count)};
    largest = std::max(largest, std::abs(value(i)));
  }
  float unit = largest / 127;
  if (unit < 0x1p-126f) unit = 1;
  const float inverse = 1 / unit;
  Steps made{unit, {}};
  for (size_t i = 0; i < count; ++i) {
    volatile const float product = value(i) * inverse;  // rounded to float32 by itself
    made.q.push_back(static_cast<int>(std::nearbyint(product)));
  }
  return made;
}

// One row's weights: e, the relative error that float32 may leave in it, its step of 255, and how many steps that error may move it.
struct Weights {
  std::vector<double> e, error;
  std::vector<int> p;
  std::vector<double> off;
  bool unknown = false;  // float32 overflows on the way, or no key has any weight
};

// A logit is an exact sum times three factors, plus an addend, less the largest, in units of log 2: seven roundings of at most the
// magnitudes of these. The exponential adds 2 ulp, four roundings. Where that leaves nothing, 2^-126 may stand for 0.
Weights weigh(const Problem& p, double scale, const Steps& query, const std::vector<Steps>& keys) {
  std::vector<double> logit(p.tokens), reach(p.tokens);
  double top = -INFINITY, reach_of_top = 0, largest = 0;
  for (size_t j = 0; j < p.tokens; ++j) {
    long sum = 0;
    for (size_t i = 0; i < p.dim; ++i) sum += query.q[i] * keys[j].q[i];
    const double addend = p.key_weight.empty() ? 0 : p.key_weight[j];
    const double term = static_cast<double>(sum) * query.unit * keys[j].unit * scale;
    logit[j] = term + addend;
    reach[j] = std::abs(term) + (std::isinf(addend) ? 0 : std::abs(addend));
    if (logit[j] > top) top = logit[j], reach_of_top = reach[j];
    largest = std::max({largest, reach[j], std::abs(2 * scale * keys[j].unit), std::abs(2 * scale * keys[j].unit * query.unit)});
    if (std::isnan(logit[j])) {
      return {std::vector<double>(p.tokens, NAN), std::vector<double>(p.tokens), std::vector<int>(p.tokens, 1), std::vector<double>(p.tokens)};
    }
  }
  Weights w;
  w.unknown = std::isinf(top) || largest > 1e37;
  for (size_t j = 0; j < p.tokens; ++j) {
    const double e = std::isinf(top) ? 0 : std::exp(logit[j] - top), error = std::expm1(kRounding * (7 * (reach[j] + reach_of_top + std::log(255.0)) + 4));
    const auto step = [&](double share) { return std::nearbyint(255 * std::clamp(share, 0.0, 1.0)); };
    const double most = std::isinf(error) ? 255 : step(e * (1 + error)), least = std::isinf(error) ? 0 : step(e * (1 - error));
    w.e.push_back(e);
    w.error.push_back(error);
    w.p.push_back(static_cast<int>(std::nearbyint(255 * e)));
    w.off.push_back(std::max(most - w.p.back(), w.p.back() - least));
  }
  return w;
}

}  // namespace

AttentionAnswer<std::vector<float>> run_int8_attention(const Int8AttentionKernels& kernels, const Problem& p, float scale, Asked asked) {
  const Guarded<float> qkv(p.qkv), key_weight(p.key_weight);
  const Guarded<int64_t> index(p.query_index);
  Guarded<float> y(p.rows() * p.width()), scores(std::vector<float>(p.heads * p.tokens, 0.0f));
  const Attention a{qkv.data(), p.tokens, p.heads, p.dim, p.rows(), p.query_index.empty() ? nullptr : index.data(), p.key_weight.empty() ? nullptr : key_weight.data(), y.data()};
  const size_t class_at = p.query_index.empty() ? 0 : static_cast<size_t>(std::find(p.query_index.begin(), p.query_index.end(), 0) - p.query_index.begin());
  const size_t tiles = (p.rows() + kernels.row_tile - 1) / kernels.row_tile;
  for (size_t head = 0; head < p.heads; ++head) {
    Guarded<float> packed(kernels.packed(p.tokens, p.dim)), scratch(kernels.scratch(p.tokens, p.dim));
    kernels.pack_keys(a, scale, head, packed.data());
    kernels.pack_values(a, head, packed.data());
    float* const row = scores.data() + head * p.tokens;
    for (size_t tile = 0; tile < tiles; ++tile) {
      kernels.rows(a, head, tile * p.rows() / tiles, (tile + 1) * p.rows() / tiles, packed.data(), class_at, asked == Asked::kClassRow ? row : nullptr,
                   asked == Asked::kReceived ? row : nullptr, scratch.data());
    }
    EXPECT_TRUE(packed.untouched_before() && scratch.untouched_before());
  }
  EXPECT_TRUE(y.untouched_before() && scores.untouched_before());
  AttentionAnswer<std::vector<float>> answer{y.values(), {}};
  if (asked != Asked::kNothing) answer.scores = scores.values();
  return answer;
}

AttentionAnswer<Expected> int8_attention_reference(const Problem& p, double scale, Asked asked) {
  const size_t rows = p.rows();
  Expected y{std::vector<double>(rows * p.width()), std::vector<double>(rows * p.width())};
  Expected scores{std::vector<double>(p.heads * p.tokens), std::vector<double>(p.heads * p.tokens)};
  for (size_t head = 0; head < p.heads; ++head) {
    std::vector<Steps> keys, values;
    for (size_t j = 0; j < p.tokens; ++j) keys.push_back(steps(p.dim, [&](size_t i) { return p.k(j, head, i); }));
    for (size_t i = 0; i < p.dim; ++i) values.push_back(steps(p.tokens, [&](size_t j) { return p.v(j, head, i); }));
    bool class_row = asked == Asked::kClassRow;
    for (size_t r = 0; r < rows; ++r) {
      const size_t token = p.query_index.empty() ? r : static_cast<size_t>(p.query_index[r]);
      const Weights w = weigh(p, scale, steps(p.dim, [&](size_t i) { return p.q(token, head, i); }), keys);
      double total = 0, mass = 0, error = 0;
      for (size_t j = 0; j < p.tokens; ++j) total += w.e[j], mass += w.p[j], error = std::max(error, w.error[j]);
      const double unsure = std::accumulate(w.off.begin(), w.off.end(), 0.0);
      for (size_t i = 0; i < p.dim; ++i) {
        double sum = 0, open = 0;
        for (size_t j = 0; j < p.tokens; ++j) {
          sum += w.p[j] * values[i].q[j];
          open += w.off[j] * std::abs(values[i].q[j]);
        }
        const size_t at = r * p.width() + head * p.dim + i;
        y.value[at] = std::isnan(w.e[0]) ? NAN : values[i].unit * (sum / mass);
        // Four roundings: of the sum, of 1 / mass, and of two products. Steps more or less of an unsure weight change both sums.
        const bool known = mass > unsure && !w.unknown && !(std::abs(y.value[at]) > 1e37);
        y.bound[at] = known ? kRounding * 5 * std::abs(y.value[at]) + (values[i].unit * open + std::abs(y.value[at]) * unsure) / (mass - unsure) + 0x1p-126 : INFINITY;
      }
      const bool first = class_row && token == 0;
      for (size_t j = 0; j < p.tokens && (first || asked == Asked::kReceived); ++j) {
        const double weight = w.e[j] / total;
        scores.value[head * p.tokens + j] += weight;
        const double relative = w.error[j] + error + kRounding * static_cast<double>(p.tokens + rows + 2);
        scores.bound[head * p.tokens + j] += w.unknown ? INFINITY : relative > 1 ? 1 : weight * relative + kSmallestWeight;
      }
      class_row = class_row && !first;
    }
  }
  return {y, asked == Asked::kNothing ? std::nullopt : std::optional(scores)};
}

}  // namespace coppice::test
