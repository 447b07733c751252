#include "reference.h"

#include <algorithm>

namespace coppice::test {
namespace {

double phi(double x, FeatureMap map) {
  if (map == FeatureMap::kElu1) return x < 0 ? std::exp(x) : x + 1;
  const double positive = x < 0 ? 0 : x;
  return map == FeatureMap::kRelu ? positive : positive * positive * positive;
}

// softmax of one row with the relative rounding error of its weights.
struct Softmax {
  std::vector<double> weight;
  double error;
};

// A logit is a sum of dim products, scaled, plus an addend: (dim + 3) roundings of at most its terms' magnitudes. e^x turns
// that absolute error into a relative one; the exponential itself adds 4 roundings (2 ulp), its argument 2 more.
template <class Logit>
Softmax softmax(size_t tokens, size_t dim, Logit logit) {
  std::vector<double> x(tokens);
  double top = -INFINITY, magnitude = 0;
  for (size_t j = 0; j < tokens; ++j) {
    double terms = 0;
    x[j] = logit(j, terms);
    top = std::max(top, x[j]);
    if (std::isfinite(terms)) magnitude = std::max(magnitude, terms);
  }
  double total = 0;
  for (double& value : x) total += value = std::exp(value - top);
  for (double& value : x) value /= total;
  const double rounding = kRounding * (static_cast<double>(dim + 5) * magnitude + 6);
  return {x, 2 * rounding + kRounding * static_cast<double>(tokens + 2)};
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

// Below e^-87 the kernels' exponential stays at about 1e-38 where the true one goes on falling.
constexpr double kSmallestWeight = 2e-38;

}  // namespace

Expected linear_reference(const Problem& p, const LinearForm& form, const Reweight& reweight) {
  Expected y;
  // Sums over tokens and over features, and a few roundings of phi (2 ulp), cosine and sine each.
  const double steps = static_cast<double>(p.tokens + std::max<size_t>(p.waves(), 1) * p.dim + 20);
  for (size_t row = 0; row < p.rows(); ++row) {
    const size_t i = p.query_index.empty() ? row : static_cast<size_t>(p.query_index[row]);
    for (size_t head = 0; head < p.heads; ++head) {
      std::vector<double> weight(p.tokens), mass(p.tokens);
      double sum = 0, sum_mass = 0;
      for (size_t j = 0; j < p.tokens; ++j) {
        for (size_t f = 0; f < p.dim; ++f) weight[j] += phi(p.q(i, head, f), form.feature_map) * phi(p.k(j, head, f), form.feature_map);
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
      double divisor = 1;
      if (form.normalize == Normalize::kSqrtD) divisor = std::sqrt(static_cast<double>(p.dim));
      if (form.normalize == Normalize::kRowSum) divisor = form.add_eps ? sum + form.eps : std::max<double>(sum, form.eps);
      if (std::isnan(sum) && form.normalize == Normalize::kRowSum) divisor = NAN;
      for (size_t f = 0; f < p.dim; ++f) {
        double mixed = 0, mixed_mass = 0;
        for (size_t j = 0; j < p.tokens; ++j) {
          mixed += weight[j] * p.v(j, head, f);
          mixed_mass += mass[j] * std::abs(p.v(j, head, f));
        }
        const double value = mixed / divisor;
        const double divisor_error = form.normalize == Normalize::kRowSum ? sum_mass : std::abs(divisor);
        y.value.push_back(value);
        y.bound.push_back(steps * kRounding * (mixed_mass + std::abs(value) * divisor_error) / std::abs(divisor));
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
      const Softmax s = softmax(p.tokens, p.dim, [&](size_t j, double& terms) {
        return dot(p.dim, terms, [&](size_t f) { return scale * p.q(i, head, f) * p.k(j, head, f); }) + addend(p, j, terms);
      });
      for (size_t f = 0; f < p.dim; ++f) {
        double mixed = 0, mass = 0, floor = 0;
        for (size_t j = 0; j < p.tokens; ++j) {
          mixed += s.weight[j] * p.v(j, head, f);
          mass += s.weight[j] * std::abs(p.v(j, head, f));
          floor += kSmallestWeight * std::abs(p.v(j, head, f));
        }
        y.value.push_back(mixed);
        y.bound.push_back((s.error + kRounding * static_cast<double>(p.tokens + 2)) * mass + floor);
      }
    }
  }
  return y;
}

Expected class_reference(const Problem& p, double scale, bool by_column) {
  Expected rows;
  for (size_t head = 0; head < p.heads; ++head) {
    const Softmax s = softmax(p.tokens, p.dim, [&](size_t j, double& terms) {
      return dot(p.dim, terms, [&](size_t f) {
               return scale * (by_column ? p.q(j, head, f) * p.k(0, head, f) : p.q(0, head, f) * p.k(j, head, f));
             }) +
             addend(p, j, terms);
    });
    for (double weight : s.weight) {
      rows.value.push_back(weight);
      rows.bound.push_back(s.error * weight + kSmallestWeight);
    }
  }
  return rows;
}

Expected received_reference(const Problem& p, double scale) {
  Expected out{std::vector<double>(p.heads * p.tokens), std::vector<double>(p.heads * p.tokens)};
  for (size_t row = 0; row < p.rows(); ++row) {
    const size_t i = p.query_index.empty() ? row : static_cast<size_t>(p.query_index[row]);
    for (size_t head = 0; head < p.heads; ++head) {
      const Softmax s = softmax(p.tokens, p.dim, [&](size_t j, double& terms) {
        return dot(p.dim, terms, [&](size_t f) { return scale * p.q(i, head, f) * p.k(j, head, f); }) + addend(p, j, terms);
      });
      for (size_t j = 0; j < p.tokens; ++j) {
        out.value[head * p.tokens + j] += s.weight[j];
        out.bound[head * p.tokens + j] += (s.error + kRounding * static_cast<double>(p.rows() + 2)) * s.weight[j] + kSmallestWeight;
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
        sixths += std::pow(positive, 6);
      }
    }
    factors.value.push_back(sixths == 0 ? 0 : std::sqrt(squares / sixths));
    factors.bound.push_back(static_cast<double>(p.width() + 8) * kRounding * factors.value.back());
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
    norms.bound.push_back(static_cast<double>(p.width() + 2) * kRounding * std::sqrt(squares));
  }
  return norms;
}

}  // namespace coppice::test
