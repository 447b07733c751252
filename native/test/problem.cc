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
  Guarded<float> qkv, key_weight, cosine, sine, y;
  Guarded<int64_t> query_index;
  Attention attention;

  explicit Bound(const Problem& p)
      : qkv(p.qkv), key_weight(p.key_weight), cosine(p.length ? p.tokens : 0), sine(p.length ? p.tokens : 0), y(p.rows() * p.width()),
        query_index(p.query_index) {
    for (size_t i = 0; i < cosine.size(); ++i) {
      const double angle = kPi * static_cast<double>(p.positions[i]) / (2.0 * static_cast<double>(p.length));
      cosine[i] = static_cast<float>(std::cos(angle));
      sine[i] = static_cast<float>(std::sin(angle));
    }
    attention = {qkv.data(),
                 p.tokens,
                 p.heads,
                 p.dim,
                 p.rows(),
                 p.query_index.empty() ? nullptr : query_index.data(),
                 p.key_weight.empty() ? nullptr : key_weight.data(),
                 p.length ? cosine.data() : nullptr,
                 p.length ? sine.data() : nullptr,
                 y.data()};
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
  Problem problem{tokens, heads, dim, normal(tokens * 3 * heads * dim, seed), {}, {}, {}};
  return problem;
}

std::vector<float> run_linear(const Kernels& kernels, const Problem& p, const LinearForm& form, Tiles tiles) {
  Bound bound(p);
  const AttentionScratch need = kernels.scratch(p.tokens, p.dim, p.length > 0);
  for (size_t head = 0; head < p.heads; ++head) {
    Guarded<float> summary(need.summary), worker(need.worker);
    for (size_t part = 0; part < (p.length ? 2u : 1u); ++part) {
      in_steps(p.dim, tiles.features, [&](size_t begin, size_t end) {
        kernels.summarise(bound.attention, form, head, part * p.dim + begin, part * p.dim + end, summary.data(), worker.data());
      });
    }
    in_steps(p.rows(), tiles.rows, [&](size_t begin, size_t end) {
      kernels.linear_rows(bound.attention, form, head, begin, end, summary.data(), worker.data());
    });
  }
  return bound.result();
}

std::vector<float> run_quadratic(const Kernels& kernels, const Problem& p, const LinearForm& form, Tiles tiles) {
  Bound bound(p);
  const AttentionScratch need = kernels.scratch(p.tokens, p.dim, p.length > 0);
  for (size_t head = 0; head < p.heads; ++head) {
    Guarded<float> packed(need.packed_keys), worker(need.worker);
    kernels.pack_keys(bound.attention, &form, head, packed.data());
    in_steps(p.rows(), tiles.rows, [&](size_t begin, size_t end) {
      kernels.quadratic_rows(bound.attention, form, head, begin, end, packed.data(), worker.data());
    });
  }
  return bound.result();
}

std::vector<float> run_softmax(const Kernels& kernels, const Problem& p, float scale, std::vector<float>* class_rows, Tiles tiles) {
  Bound bound(p);
  Guarded<float> rows(p.heads * p.tokens);
  const AttentionScratch need = kernels.scratch(p.tokens, p.dim, false);
  for (size_t head = 0; head < p.heads; ++head) {
    Guarded<float> packed(need.packed_keys), worker(need.worker);
    kernels.pack_keys(bound.attention, nullptr, head, packed.data());
    in_steps(p.rows(), tiles.rows, [&](size_t begin, size_t end) {
      kernels.softmax_rows(bound.attention, scale, head, begin, end, packed.data(), class_rows ? rows.data() + head * p.tokens : nullptr,
                           worker.data());
    });
  }
  if (class_rows) *class_rows = rows.values();
  return bound.result();
}

std::vector<float> run_class_attention(const Kernels& kernels, const Problem& p, float scale, bool by_column) {
  Bound bound(p);
  Guarded<float> rows(p.heads * p.tokens);
  for (size_t head = p.heads; head-- > 0;) kernels.class_attention(bound.attention, scale, head, by_column, rows.data() + head * p.tokens);
  EXPECT_TRUE(rows.untouched_before());
  return rows.values();
}

std::vector<float> run_value_norms(const Kernels& kernels, const Problem& p) {
  Bound bound(p);
  Guarded<float> norms(p.tokens);
  kernels.value_norms(bound.attention, norms.data());
  EXPECT_TRUE(norms.untouched_before());
  return norms.values();
}

}  // namespace coppice::test
