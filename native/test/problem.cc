#include "problem.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace coppice::test {
namespace {

constexpr double kPi = 3.14159265358979323846;

// A problem in guarded memory, as the kernels take it.
struct Bound {
  Guarded<float> qkv, key_weight, query_weight, query_wave, key_wave, y;
  Guarded<int64_t> query_index;
  Attention attention;
  Waves waves;

  explicit Bound(const Problem& p)
      : qkv(p.qkv), key_weight(p.key_weight), query_weight(p.query_weight), query_wave(p.query_wave), key_wave(p.key_wave),
        y(p.rows() * p.width()), query_index(p.query_index) {
    attention = {qkv.data(),
                 p.tokens,
                 p.heads,
                 p.dim,
                 p.rows(),
                 p.query_index.empty() ? nullptr : query_index.data(),
                 p.key_weight.empty() ? nullptr : key_weight.data(),
                 y.data()};
    waves = {p.waves(), query_wave.data(), key_wave.data()};
  }

  LinearForm with_problem(LinearForm form) const {
    form.waves = waves;
    form.query_weight = query_weight.size() ? query_weight.data() : nullptr;
    return form;
  }

  std::vector<float> result() const {
    EXPECT_TRUE(y.untouched_before());
    return y.values();
  }
};

template <class Call>
void in_steps(size_t count, size_t step, Call call) {
  for (size_t begin = 0; begin < count; begin += step) call(begin, std::min(begin + step, count));
}

}  // namespace

std::vector<float> normal(size_t count, unsigned seed, double spread) {
  // std::normal_distribution differs between libraries; Box and Muller's formula on the engine's own numbers does not.
  std::mt19937 engine(seed);
  std::vector<float> values(count);
  for (float& value : values) {
    const double u = (engine() + 1.0) / 4294967297.0, angle = 2 * kPi * (engine() / 4294967296.0);
    value = static_cast<float>(spread * std::sqrt(-2 * std::log(u)) * std::cos(angle));
  }
  return values;
}

Problem random_problem(size_t tokens, size_t heads, size_t dim, unsigned seed) {
  Problem problem{tokens, heads, dim, normal(tokens * 3 * heads * dim, seed), {}, {}, {}, {}, {}};
  return problem;
}

std::vector<float> run_linear(const Kernels& kernels, const Problem& p, const LinearForm& given, Tiles tiles) {
  Bound bound(p);
  const LinearForm form = bound.with_problem(given);
  const AttentionScratch need = kernels.scratch(p.dim, p.waves());
  for (size_t head = 0; head < p.heads; ++head) {
    Guarded<float> summary(need.summary), worker(need.worker);
    in_steps(p.dim, tiles.features, [&](size_t begin, size_t end) {
      kernels.summarise(bound.attention, form, head, begin, end, summary.data(), worker.data());
    });
    in_steps(p.rows(), tiles.rows, [&](size_t begin, size_t end) {
      kernels.linear_rows(bound.attention, form, head, begin, end, summary.data(), worker.data());
    });
  }
  return bound.result();
}

std::vector<float> run_quadratic(const Kernels& kernels, const Problem& p, const LinearForm& given, Tiles tiles) {
  Bound bound(p);
  const LinearForm form = bound.with_problem(given);
  for (size_t head = 0; head < p.heads; ++head) {
    Guarded<float> worker(kernels.scratch(p.dim, p.waves()).worker);
    in_steps(p.rows(), tiles.rows,
             [&](size_t begin, size_t end) { kernels.quadratic_rows(bound.attention, form, head, begin, end, worker.data()); });
  }
  return bound.result();
}

std::vector<float> run_softmax(const Kernels& kernels, const Problem& p, float scale, std::vector<float>* class_rows, Tiles tiles,
                               Statistics* statistics) {
  Bound bound(p);
  Guarded<float> rows(p.heads * p.tokens), shift(p.heads * p.rows()), sum(p.heads * p.rows());
  for (size_t head = 0; head < p.heads; ++head) {
    Guarded<float> worker(kernels.scratch(p.dim, 0).worker);
    const RowStatistics into = statistics ? RowStatistics{shift.data() + head * p.rows(), sum.data() + head * p.rows()} : RowStatistics{};
    in_steps(p.rows(), tiles.rows, [&](size_t begin, size_t end) {
      kernels.softmax_rows(bound.attention, scale, head, begin, end, class_rows ? rows.data() + head * p.tokens : nullptr, into, worker.data());
    });
  }
  if (class_rows) *class_rows = rows.values();
  if (statistics) *statistics = {shift.values(), sum.values()};
  return bound.result();
}

std::vector<float> run_received(const Kernels& kernels, const Problem& p, float scale, Tiles tiles) {
  Statistics statistics;
  run_softmax(kernels, p, scale, nullptr, tiles, &statistics);
  Bound bound(p);
  Guarded<float> out(std::vector<float>(p.heads * p.tokens, 0.0f));
  for (size_t head = 0; head < p.heads; ++head) {
    Guarded<float> worker(kernels.scratch(p.dim, 0).worker);
    const RowStatistics from{statistics.shift.data() + head * p.rows(), statistics.sum.data() + head * p.rows()};
    in_steps(p.tokens, tiles.rows, [&](size_t begin, size_t end) {
      kernels.received(bound.attention, scale, head, begin, end, from, out.data() + head * p.tokens, worker.data());
    });
  }
  EXPECT_TRUE(out.untouched_before());
  return out.values();
}

std::vector<float> run_class_attention(const Kernels& kernels, const Problem& p, float scale, bool by_column) {
  Bound bound(p);
  Guarded<float> rows(p.heads * p.tokens);
  for (size_t head = p.heads; head-- > 0;) kernels.class_attention(bound.attention, scale, head, by_column, rows.data() + head * p.tokens);
  EXPECT_TRUE(rows.untouched_before());
  return rows.values();
}

std::vector<float> run_cube_factors(const Kernels& kernels, const Problem& p, bool keys) {
  Bound bound(p);
  Guarded<float> factors(p.tokens);
  kernels.cube_factors(bound.attention, keys, factors.data());
  EXPECT_TRUE(factors.untouched_before());
  return factors.values();
}

std::vector<float> run_value_norms(const Kernels& kernels, const Problem& p) {
  Bound bound(p);
  Guarded<float> norms(p.tokens);
  kernels.value_norms(bound.attention, norms.data());
  EXPECT_TRUE(norms.untouched_before());
  return norms.values();
}

}  // namespace coppice::test
