#include "reference.h"

#include <algorithm>

namespace coppice::test {
namespace {

double phi(double x, FeatureMap map) {
  if (map == FeatureMap::kElu1) return x < 0 ? std::exp(x) : x + 1;
  const double positive = x < 0 ? 0 : x;
  return map == FeatureMap::kRelu ? positive : positive * positive * positive;
}

// What float32 can hold of an intermediate result. Below kSmallest products lose digits, and the kernels' exponentials of -87
// and less stay at about that where the true one goes on falling.
constexpr double kLargest = 1e37, kSmallest = 2e-38;
// Sums of the softmax may reach 2^30 before they are divided.
constexpr double kLargestSum = 2147483648.0;

// The largest magnitude seen, at least 1: a product of these bounds each of its partial products. NaN does not count.
struct Peak {
  double value = 1;
  void see(double x) { value = std::max(value, std::abs(x)); }
};

template <class Element>
Peak peak(size_t count, Element element) {
  Peak seen;
  for (size_t i = 0; i < count; ++i) seen.see(element(i));
  return seen;
}

// softmax of one row with the relative rounding error of its weights.
struct Softmax {
  std::vector<double> weight;
  double error;
  bool unknown;  // float32 overflows on the way, or no key has any weight
};

// A logit is a sum of dim products, scaled, plus an addend: (dim + 3) roundings of at most its terms' magnitudes. e^x turns
// that absolute error r into a factor of e^r, and the row's sum another; the exponential itself adds 4 roundings (2 ulp), its
// argument 2 more. `reach` bounds the partial products of a logit.
template <class Logit>
Softmax softmax(size_t tokens, size_t dim, double reach, Logit logit) {
  std::vector<double> x(tokens);
  double top = -INFINITY, magnitude = 0;
  bool weighty = false, endless = false;
  for (size_t j = 0; j < tokens; ++j) {
    double terms = 0;
    x[j] = logit(j, terms);
    top = std::max(top, x[j]);
    if (std::isfinite(terms)) magnitude = std::max(magnitude, terms);
    weighty = weighty || x[j] != -INFINITY;
    endless = endless || x[j] == INFINITY;
  }
  double total = 0;
  for (double& value : x) total += value = std::exp(value - top);
  for (double& value : x) value /= total;
  if (!weighty || endless || std::max(reach, 4 * magnitude) > kLargest) return {x, 1, true};
  const double rounding = kRounding * (static_cast<double>(dim + 5) * magnitude + 6) + kSmallest * reach;
  return {x, std::expm1(2 * rounding) + kRounding * static_cast<double>(tokens + 2), false};
}

// Bounds the partial products of the logits of one query row (or, by_column, of one key) with a head's other side.
double logit_reach(const Problem& p, double scale, size_t token, size_t head, bool by_column) {
  const Peak fixed = peak(p.dim, [&](size_t f) { return by_column ? p.k(token, head, f) : p.q(token, head, f); });
  const Peak other = peak(p.tokens * p.dim, [&](size_t i) {
    return by_column ? p.q(i / p.dim, head, i % p.dim) : p.k(i / p.dim, head, i % p.dim);
  });
  return 2 * std::max(1.0, scale) * fixed.value * other.value * static_cast<double>(p.dim);
}

// What weights of this relative error may do to a sum whose weighted magnitudes add up to `mass` and reach `largest`. Where the
// error passes 1 all weight may lie on another token.
double spread(const Softmax& s, double roundings, double mass, double largest) {
  if (s.unknown) return INFINITY;
  const double error = s.error + kRounding * roundings;
  return error > 1 ? 2 * largest : error * mass;
}

template <class Term>
double dot(size_t dim, double& terms, Term term) {
  double total = 0;
  for (size_t i = 0; i < dim; ++i) {
    const double product = term(i);
    total += product;
    terms += std::abs(product);
  }
  return total;
}

double addend(const Problem& p, size_t token, double& terms) {
  if (p.key_weight.empty()) return 0;
  terms += std::abs(p.key_weight[token]);
  return p.key_weight[token];
}

// phi of some queries or keys.
struct Mapped {
  std::vector<double> value;
  Peak peak;
  double decay = 0;  // roundings of the exponential of elu1 beyond those of other maps: 2 for each unit below 0
};

template <class Element>
Mapped mapped(size_t count, FeatureMap map, Element element) {
  Mapped all;
  for (size_t i = 0; i < count; ++i) {
    const double x = element(i);
    all.value.push_back(phi(x, map));
    all.peak.see(all.value.back());
    if (map == FeatureMap::kElu1 && x < 0) all.decay = std::max(all.decay, std::min(-2 * x, 174.0));
  }
  return all;
}

}  // namespace

Expected linear_reference(const Problem& p, const LinearForm& form, const Reweight& reweight) {
  Expected y;
  const size_t waves = std::max<size_t>(p.waves(), 1);
  const double query_waves = peak(p.query_wave.size(), [&](size_t i) { return p.query_wave[i]; }).value;
  const double key_waves = peak(p.key_wave.size(), [&](size_t i) { return p.key_wave[i]; }).value;
  const double key_weights = peak(p.key_weight.size(), [&](size_t j) { return p.key_weight[j]; }).value;
  std::vector<Mapped> mapped_keys;
  for (size_t head = 0; head < p.heads; ++head) {
    mapped_keys.push_back(mapped(p.tokens * p.dim, form.feature_map, [&](size_t at) { return p.k(at / p.dim, head, at % p.dim); }));
  }
  for (size_t row = 0; row < p.rows(); ++row) {
    const size_t i = p.query_index.empty() ? row : static_cast<size_t>(p.query_index[row]);
    for (size_t head = 0; head < p.heads; ++head) {
      const Mapped& keys = mapped_keys[head];
      const Mapped query = mapped(p.dim, form.feature_map, [&](size_t f) { return p.q(i, head, f); });
      std::vector<double> weight(p.tokens), mass(p.tokens);
      double sum = 0, sum_mass = 0;
      for (size_t j = 0; j < p.tokens; ++j) {
        for (size_t f = 0; f < p.dim; ++f) weight[j] += query.value[f] * keys.value[j * p.dim + f];
        if (!p.key_weight.empty()) weight[j] *= p.key_weight[j];
        if (!p.query_weight.empty()) weight[j] *= p.query_weight[i];
        mass[j] = std::abs(weight[j]);
        if (p.waves()) {
          double factor = 0, factor_mass = 0;
          for (size_t wave = 0; wave < p.waves(); ++wave) {
            const double product = static_cast<double>(p.query_wave[wave * p.tokens + i]) * p.key_wave[wave * p.tokens + j];
            factor += product;
            factor_mass += std::abs(product);
          }
          // Where the caller knows the factor itself, the waves that stand for it are rounded too.
          weight[j] *= reweight ? reweight(i, j) : factor;
          mass[j] *= factor_mass;
        }
        sum += weight[j];
        sum_mass += mass[j];
      }
      Peak query_weight;
      if (!p.query_weight.empty()) query_weight.see(p.query_weight[i]);
      const double reach = query.peak.value * keys.peak.value * key_weights * query_weight.value * query_waves * key_waves *
                           static_cast<double>(p.tokens * p.dim * waves);
      // Sums over tokens and over features, and a few roundings of phi (2 ulp), cosine and sine each.
      const double steps = static_cast<double>(p.tokens + waves * p.dim + 20) + query.decay + keys.decay;
      const double rounding = steps * kRounding, lost = steps * kSmallest * reach;
      double divisor = 1;
      if (form.normalize == Normalize::kSqrtD) divisor = std::sqrt(static_cast<double>(p.dim));
      if (form.normalize == Normalize::kRowSum) divisor = form.add_eps ? sum + form.eps : std::max<double>(sum, form.eps);
      if (std::isnan(sum) && form.normalize == Normalize::kRowSum) divisor = NAN;
      const double divisor_error = form.normalize == Normalize::kRowSum ? (rounding * sum_mass + lost) / std::abs(divisor) : rounding;
      for (size_t f = 0; f < p.dim; ++f) {
        double mixed = 0, mixed_mass = 0;
        Peak values;
        for (size_t j = 0; j < p.tokens; ++j) {
          mixed += weight[j] * p.v(j, head, f);
          mixed_mass += mass[j] * std::abs(p.v(j, head, f));
          values.see(p.v(j, head, f));
        }
        const double value = mixed / divisor;
        y.value.push_back(value);
        // A divisor that may be off by an eighth, or whose inverse is hardly a float, says nothing of the quotient.
        const bool lost_all = reach * values.value > kLargest || divisor_error > 0.125 || std::abs(divisor) < 1e-30;
        const double error = (rounding * mixed_mass + lost * values.value) / std::abs(divisor) + std::abs(value) * divisor_error;
        // The row's factor, and the product with it, may be less than the smallest normal number.
        y.bound.push_back(lost_all ? INFINITY : error / (1 - divisor_error) + kSmallest * (1 + reach * values.value));
      }
    }
  }
  return y;
}

Expected softmax_reference(const Problem& p, double scale) {
  Expected y;
  for (size_t row = 0; row < p.rows(); ++row) {
    const size_t i = p.query_index.empty() ? row : static_cast<size_t>(p.query_index[row]);
    for (size_t head = 0; head < p.heads; ++head) {
      const Softmax s = softmax(p.tokens, p.dim, logit_reach(p, scale, i, head, false), [&](size_t j, double& terms) {
        return dot(p.dim, terms, [&](size_t f) { return scale * p.q(i, head, f) * p.k(j, head, f); }) + addend(p, j, terms);
      });
      for (size_t f = 0; f < p.dim; ++f) {
        double mixed = 0, mass = 0, floor = 0;
        Peak values;
        for (size_t j = 0; j < p.tokens; ++j) {
          mixed += s.weight[j] * p.v(j, head, f);
          mass += s.weight[j] * std::abs(p.v(j, head, f));
          floor += kSmallest * (std::abs(p.v(j, head, f)) + 1);
          values.see(p.v(j, head, f));
        }
        y.value.push_back(mixed);
        y.bound.push_back(values.value * kLargestSum > kLargest
                              ? INFINITY
                              : spread(s, static_cast<double>(p.tokens + 2), mass, values.value) + floor);
      }
    }
  }
  return y;
}

Expected class_reference(const Problem& p, double scale, bool by_column) {
  Expected rows;
  for (size_t head = 0; head < p.heads; ++head) {
    const Softmax s = softmax(p.tokens, p.dim, logit_reach(p, scale, 0, head, by_column), [&](size_t j, double& terms) {
      return dot(p.dim, terms, [&](size_t f) {
               return scale * (by_column ? p.q(j, head, f) * p.k(0, head, f) : p.q(0, head, f) * p.k(j, head, f));
             }) +
             addend(p, j, terms);
    });
    for (double weight : s.weight) {
      rows.value.push_back(weight);
      rows.bound.push_back(spread(s, 0, weight, 1) + kSmallest);
    }
  }
  return rows;
}

Expected received_reference(const Problem& p, double scale) {
  Expected out{std::vector<double>(p.heads * p.tokens), std::vector<double>(p.heads * p.tokens)};
  for (size_t row = 0; row < p.rows(); ++row) {
    const size_t i = p.query_index.empty() ? row : static_cast<size_t>(p.query_index[row]);
    for (size_t head = 0; head < p.heads; ++head) {
      const Softmax s = softmax(p.tokens, p.dim, logit_reach(p, scale, i, head, false), [&](size_t j, double& terms) {
        return dot(p.dim, terms, [&](size_t f) { return scale * p.q(i, head, f) * p.k(j, head, f); }) + addend(p, j, terms);
      });
      for (size_t j = 0; j < p.tokens; ++j) {
        out.value[head * p.tokens + j] += s.weight[j];
        out.bound[head * p.tokens + j] += spread(s, static_cast<double>(p.rows() + 2), s.weight[j], 1) + kSmallest;
      }
    }
  }
  return out;
}

Expected cube_factor_reference(const Problem& p, bool keys) {
  Expected factors;
  for (size_t j = 0; j < p.tokens; ++j) {
    double squares = 0, sixths = 0;
    for (size_t head = 0; head < p.heads; ++head) {
      for (size_t f = 0; f < p.dim; ++f) {
        const double x = keys ? p.k(j, head, f) : p.q(j, head, f), positive = x < 0 ? 0 : x;
        squares += positive * positive;
        sixths += positive * positive * positive * positive * positive * positive;
      }
    }
    factors.value.push_back(sixths == 0 ? 0 : std::sqrt(squares / sixths));
    // Sixth powers leave float32 at 2e6, and lose digits below 1e-6.
    const bool lost_all = sixths > kLargest || (sixths > 0 && sixths < 1e-30);
    factors.bound.push_back(lost_all ? INFINITY : static_cast<double>(p.width() + 8) * kRounding * factors.value.back());
  }
  return factors;
}

Expected value_norm_reference(const Problem& p) {
  Expected norms;
  for (size_t j = 0; j < p.tokens; ++j) {
    double squares = 0;
    for (size_t head = 0; head < p.heads; ++head) {
      for (size_t f = 0; f < p.dim; ++f) squares += static_cast<double>(p.v(j, head, f)) * p.v(j, head, f);
    }
    norms.value.push_back(std::sqrt(squares));
    const double lost = static_cast<double>(p.width()) * kSmallest;
    norms.bound.push_back(squares > kLargest ? INFINITY
                                             : static_cast<double>(p.width() + 2) * kRounding * std::sqrt(squares) + std::sqrt(squares + lost) -
                                                   std::sqrt(squares));
  }
  return norms;
}

}  // namespace coppice::test
