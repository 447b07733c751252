#include "hallucinated_reference.h"

#include <algorithm>

#include "guarded.h"
#include "problem.h"

namespace coppice::test {
namespace {

// A map and the absolute rounding error that each of its entries may have.
struct Map {
  size_t tokens;
  std::vector<double> value, error;

  explicit Map(size_t tokens) : tokens(tokens), value(tokens * tokens), error(tokens * tokens) {}
  void add(double weight, const Map& other, long down, long right) {
    for (long i = 0; i < static_cast<long>(tokens); ++i) {
      for (long j = 0; j < static_cast<long>(tokens); ++j) {
        const long y = i + down, x = j + right, n = static_cast<long>(tokens);
        if (y < 0 || x < 0 || y >= n || x >= n) continue;  // zero padding
        const size_t to = static_cast<size_t>(i * n + j), from = static_cast<size_t>(y * n + x);
        value[to] += weight * other.value[from];
        // The kernel adds at most 9 terms of one map and one of each other; the weight itself is rounded twice.
        error[to] += std::abs(weight) * (other.error[from] + 24 * kRounding * std::abs(other.value[from]));
      }
    }
  }
};

void softmax(Map& map) {
  const size_t n = map.tokens;
  for (size_t i = 0; i < n; ++i) {
    double* x = map.value.data() + i * n;
    double* error = map.error.data() + i * n;
    const double top = *std::max_element(x, x + n), shift = *std::max_element(error, error + n);
    double total = 0;
    for (size_t j = 0; j < n; ++j) total += x[j] = std::exp(x[j] - top);
    for (size_t j = 0; j < n; ++j) {
      x[j] /= total;
      // e^x turns the logits' absolute error (theirs and the largest one's) into a relative one, in the weight and in
      // the sum; the exponential adds 6 roundings, its argument's difference one of at most 87, the sum its terms.
      error[j] = x[j] * (4 * shift + kRounding * static_cast<double>(n + 2 * 87 + 16)) + kSmallestWeight;
    }
  }
}

void row_sum(Map& map, double eps) {
  const size_t n = map.tokens;
  for (size_t i = 0; i < n; ++i) {
    double total = 0, wrong = 0;
    for (size_t j = 0; j < n; ++j) {
      const size_t at = i * n + j;
      total += map.value[at];
      wrong += map.error[at] + kRounding * static_cast<double>(n) * std::abs(map.value[at]);
    }
    const double divisor = std::isnan(total) ? total : std::max(total, eps);
    for (size_t j = 0; j < n; ++j) {
      const size_t at = i * n + j;
      map.value[at] /= divisor;
      map.error[at] = (map.error[at] + std::abs(map.value[at]) * (wrong + 3 * kRounding * divisor)) / divisor;
    }
  }
}

void layer_norm(std::vector<Map>& maps, double eps) {
  const auto count = static_cast<double>(maps.size());
  for (size_t at = 0; at < maps[0].value.size(); ++at) {
    double mean = 0, variance = 0, wrong = 0, size = 0;
    for (const Map& map : maps) {
      mean += map.value[at] / count;
      wrong = std::max(wrong, map.error[at]);
      size = std::max(size, std::abs(map.value[at]));
    }
    for (const Map& map : maps) variance += (map.value[at] - mean) * (map.value[at] - mean) / count;
    wrong = 2 * (wrong + kRounding * (count + 2) * size);  // of a value less the mean, thus also of the deviation
    const double deviation = std::sqrt(variance + eps);
    for (Map& map : maps) {
      map.value[at] = (map.value[at] - mean) / deviation;
      map.error[at] = (1 + std::abs(map.value[at])) * wrong / deviation + kRounding * (count + 8) * std::abs(map.value[at]);
    }
  }
}

}  // namespace

HallucinatedProblem random_hallucination(size_t tokens, size_t real, size_t hallucinated, size_t dim, size_t dw_kernel, unsigned seed) {
  HallucinatedProblem p{tokens, real, hallucinated, dim, {}, {}, {}};
  p.qkv = normal(tokens * p.width(), seed);
  p.mix = normal(hallucinated * real, seed + 1, 1 / static_cast<double>(real));
  p.dw_kernel = dw_kernel;
  p.dw = normal(hallucinated * dw_kernel * dw_kernel, seed + 2, dw_kernel ? 1 / static_cast<double>(dw_kernel) : 0);
  return p;
}

std::vector<float> run_hallucinated(const HallucinationKernels& kernels, const HallucinatedProblem& p, size_t rows) {
  const Guarded<float> qkv(p.qkv), mix(p.mix), dw(p.dw);
  Guarded<float> y(p.tokens * p.heads() * p.dim);
  const Hallucination h{qkv.data(), p.tokens,         p.real,   p.hallucinated, p.dim,   p.mix.empty() ? nullptr : mix.data(), p.dw.empty() ? nullptr : dw.data(),
                        p.dw_kernel, p.before_softmax, p.renorm, p.eps,          y.data()};
  const HallucinationScratch need = kernels.scratch(h);
  Guarded<float> packed(need.packed), worker(need.worker);
  for (size_t head = 0; head < p.heads(); ++head) kernels.pack_head(h, head, packed.data());
  for (size_t begin = 0; begin < p.tokens; begin += rows) {
    Guarded<float> fresh(need.worker);
    kernels.rows(h, begin, std::min(begin + rows, p.tokens), packed.data(), fresh.data());
    EXPECT_TRUE(fresh.untouched_before());
  }
  EXPECT_TRUE(packed.untouched_before());
  EXPECT_TRUE(y.untouched_before());
  return y.values();
}

Expected hallucinated_reference(const HallucinatedProblem& p) {
  const size_t n = p.tokens;
  std::vector<Map> real(p.real, Map(n)), made(p.hallucinated, Map(n));
  for (size_t head = 0; head < p.real; ++head) {
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) {
        double logit = 0, terms = 0;
        for (size_t f = 0; f < p.dim; ++f) {
          const double product = static_cast<double>(p.q(i, head, f)) * p.k(j, head, f) / std::sqrt(static_cast<double>(p.dim));
          logit += product;
          terms += std::abs(product);
        }
        real[head].value[i * n + j] = logit;
        real[head].error[i * n + j] = static_cast<double>(p.dim + 3) * kRounding * terms;
      }
    }
    if (!p.before_softmax) softmax(real[head]);
  }
  const long reach = static_cast<long>(p.dw_kernel / 2);
  for (size_t g = 0; g < p.hallucinated; ++g) {
    for (size_t r = 0; r < p.mix.size() / p.hallucinated; ++r) made[g].add(p.mix[g * p.real + r], real[r], 0, 0);
    for (size_t tap = 0; tap < p.dw.size() / p.hallucinated; ++tap) {
      const auto down = static_cast<long>(tap / p.dw_kernel) - reach, right = static_cast<long>(tap % p.dw_kernel) - reach;
      made[g].add(p.dw[g * p.dw_kernel * p.dw_kernel + tap], real[g % p.real], down, right);
    }
    if (p.renorm == Renorm::kRowSum) row_sum(made[g], p.eps);
  }
  if (p.renorm == Renorm::kLayerNorm) layer_norm(made, p.eps);
  std::vector<Map> maps = real;
  maps.insert(maps.end(), made.begin(), made.end());
  Expected y;
  for (Map& map : maps) {
    if (p.before_softmax) softmax(map);
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t head = 0; head < p.heads(); ++head) {
      for (size_t f = 0; f < p.dim; ++f) {
        double mixed = 0, wrong = 0;
        for (size_t j = 0; j < n; ++j) {
          const double weight = maps[head].value[i * n + j], size = std::abs(static_cast<double>(p.v(j, head, f)));
          mixed += weight * p.v(j, head, f);
          wrong += (maps[head].error[i * n + j] + kRounding * static_cast<double>(n + 2) * std::abs(weight)) * size;
        }
        y.value.push_back(mixed);
        y.bound.push_back(wrong);
      }
    }
  }
  return y;
}

}  // namespace coppice::test
