#include "reduction.h"

#include <algorithm>
#include <cmath>

namespace coppice::test {

MergeProblem random_merge(size_t tokens, size_t prefix, size_t dim, unsigned seed, size_t packed_parts) {
  MergeProblem p{tokens, prefix, dim, {}};
  p.packed = packed_parts > 0;
  p.parts = p.packed ? packed_parts : 1;
  p.metric = normal(tokens * p.row(), seed);
  p.x = normal(tokens * p.width, seed + 1);
  return p;
}

Matches run_matches(const MergeKernels& kernels, const Match& match, size_t tile) {
  const size_t sources = match.sources.count;
  Guarded<float> similarity(sources);
  Guarded<uint32_t> partner(sources);
  const MergeScratch need = kernels.scratch(match);
  Guarded<float> panels(need.panels * need.panel), worker(need.worker);
  for (size_t panel = need.panels; panel-- > 0;) kernels.pack_targets(match, panel, panels.data());
  for (size_t begin = 0; begin < sources && match.targets.count > 0; begin += tile) {
    kernels.best_targets(match, begin, std::min(begin + tile, sources), panels.data(), similarity.data(), partner.data(), worker.data());
  }
  EXPECT_TRUE(similarity.untouched_before() && partner.untouched_before() && panels.untouched_before() && worker.untouched_before());
  return {similarity.values(), partner.values()};
}

Matches run_matches(const MergeKernels& kernels, const MergeProblem& p, size_t tile) {
  const Guarded<float> metric(p.metric);
  return run_matches(kernels, p.described(metric.data()).match(), tile);
}

Merged run_merge(const MergeKernels& kernels, const MergeProblem& p, size_t count) {
  const Matches matches = run_matches(kernels, p);
  const Guarded<float> x(p.x), size(p.size);
  const Merge merge = p.described(p.metric.data());
  Guarded<uint32_t> first(p.tokens), next(p.tokens), order(matches.partner.size());
  Guarded<int64_t> group(p.tokens), merged(count);
  const MergePlan plan{first.data(), next.data(), group.data()};
  const size_t rows = plan_merge(merge, matches.similarity.data(), matches.partner.data(), count, p.order, merged.data(), order.data(), plan);
  Guarded<float> y(rows * p.width), merged_size(rows);
  kernels.average_rows(plan, x.data(), p.width, p.size.empty() ? nullptr : size.data(), 0, rows / 2, y.data(), merged_size.data());
  kernels.average_rows(plan, x.data(), p.width, p.size.empty() ? nullptr : size.data(), rows / 2, rows, y.data(), merged_size.data());
  EXPECT_TRUE(first.untouched_before() && next.untouched_before() && group.untouched_before() && merged.untouched_before());
  EXPECT_TRUE(y.untouched_before() && merged_size.untouched_before());
  return {y.values(), merged_size.values(), group.values(), rows};
}

// Features are sums of parts, products of them are added up: dim + parts roundings of the terms' magnitudes, ten more for the
// two lengths and the scaling. Lengths lose what cancels between the parts, so magnitudes are measured against them.
Cosine cosine(const MergeProblem& p, size_t source, size_t target) {
  const Merge merge = p.described(p.metric.data());
  const size_t tokens[] = {merge.source_token(source), merge.target_token(target)};
  double product = 0, squares[2] = {}, magnitudes[2] = {};
  for (size_t i = 0; i < p.dim; ++i) {
    double sums[2] = {};
    for (size_t side = 0; side < 2; ++side) {
      double magnitude = 0;
      for (size_t part = 0; part < p.parts; ++part) {
        sums[side] += p.m(tokens[side], i, part);
        magnitude += std::abs(p.m(tokens[side], i, part));
      }
      squares[side] += sums[side] * sums[side];
      magnitudes[side] += magnitude * magnitude;
    }
    product += sums[0] * sums[1];
  }
  if (squares[0] == 0 || squares[1] == 0) return {std::isnan(product) ? NAN : 0, 0};
  const double terms = magnitudes[0] / squares[0] + magnitudes[1] / squares[1];
  return {product / std::sqrt(squares[0] * squares[1]), kRounding * static_cast<double>(p.dim + p.parts + 10) * terms};
}

testing::AssertionResult right(const MergeProblem& p, const Matches& found) {
  const Merge merge = p.described(p.metric.data());
  if (found.similarity.size() != merge.sources()) return testing::AssertionFailure() << "expected " << merge.sources() << " sources";
  for (size_t source = 0; source < merge.sources(); ++source) {
    if (found.partner[source] >= merge.targets()) return testing::AssertionFailure() << "source " << source << " has partner " << found.partner[source];
    const Cosine chosen = cosine(p, source, found.partner[source]);
    const float similarity = found.similarity[source];
    if (std::isnan(chosen.value) != std::isnan(similarity) || std::abs(similarity - chosen.value) > chosen.bound) {
      return testing::AssertionFailure() << "source " << source << ": expected similarity " << chosen.value << " within " << chosen.bound << ", found "
                                         << similarity;
    }
    for (size_t target = 0; target < merge.targets(); ++target) {
      const Cosine other = cosine(p, source, target);
      if (std::isnan(other.value)) continue;
      if (std::isnan(similarity) || other.value - other.bound > chosen.value + chosen.bound) {
        return testing::AssertionFailure() << "source " << source << ": target " << target << " has similarity " << other.value << ", target "
                                           << found.partner[source] << " only " << chosen.value;
      }
    }
  }
  return testing::AssertionSuccess();
}

// Weights are quotients of sums of at most `members` sizes; each term takes two more roundings and as many additions.
Expected merged_reference(const MergeProblem& p, const std::vector<int64_t>& group, size_t rows) {
  Expected y{std::vector<double>(rows * p.width), std::vector<double>(rows * p.width)};
  for (size_t row = 0; row < rows; ++row) {
    double total = 0, members = 0;
    for (size_t token = 0; token < p.tokens; ++token) {
      if (group[token] != static_cast<int64_t>(row)) continue;
      total += p.size.empty() ? 1 : p.size[token];
      ++members;
    }
    for (size_t token = 0; token < p.tokens; ++token) {
      if (group[token] != static_cast<int64_t>(row)) continue;
      const double weight = total == 0 ? 1 / members : members == 1 ? 1 : (p.size.empty() ? 1 : p.size[token]) / total;
      for (size_t i = 0; i < p.width; ++i) {
        const double term = weight * p.x[token * p.width + i];
        y.value[row * p.width + i] += term;
        y.bound[row * p.width + i] += members == 1 ? 0 : kRounding * (2 * members + 3) * std::abs(term);
      }
    }
  }
  return y;
}

std::vector<float> merged_sizes(const MergeProblem& p, const std::vector<int64_t>& group, size_t rows) {
  std::vector<float> sizes(rows);
  for (size_t token = 0; token < p.tokens; ++token) sizes[static_cast<size_t>(group[token])] += p.size.empty() ? 1 : p.size[token];
  return sizes;
}

MixProblem random_mix(size_t tokens, size_t width, size_t outputs, unsigned seed) {
  MixProblem p{tokens, width, outputs, normal(tokens * width, seed), normal(width * outputs, seed + 1), {}, {}};
  p.scale = 1 / std::sqrt(static_cast<float>(width));
  return p;
}

std::vector<float> run_mix(const PatchMergerKernels& kernels, const MixProblem& p, size_t token_tile, size_t mix_tile) {
  const Guarded<float> x(p.x), w(p.w), gamma(p.gamma), beta(p.beta);
  Guarded<float> y(p.outputs * p.width);
  const PatchMerge merge{x.data(), p.tokens, p.width, w.data(), p.outputs, p.scale, p.over_outputs, p.layer_norm,
                         p.gamma.empty() ? nullptr : gamma.data(), p.beta.empty() ? nullptr : beta.data(), p.eps, y.data()};
  const PatchMergerScratch need = kernels.scratch(merge);
  Guarded<float> packed(need.packed), rows(need.rows), weights(need.weights), row_scale(need.columns);
  kernels.pack_weights(merge, packed.data());
  for (size_t begin = 0; begin < p.tokens; begin += token_tile) {
    kernels.token_logits(merge, begin, std::min(begin + token_tile, p.tokens), packed.data(), rows.data(), weights.data());
  }
  for (size_t begin = 0; begin < need.columns; begin += kernels.lanes) {
    kernels.softmax_tokens(merge, begin, begin + kernels.lanes, weights.data(), row_scale.data());
  }
  for (size_t begin = 0; begin < p.width; begin += mix_tile) {
    kernels.mix_tokens(merge, begin, std::min(begin + mix_tile, p.width), rows.data(), weights.data(), row_scale.data());
  }
  EXPECT_TRUE(y.untouched_before() && rows.untouched_before() && weights.untouched_before() && row_scale.untouched_before());
  return y.values();
}

// A token t is off by 3 roundings and, normalised, by those of a mean, a variance and a root (width + 8, of values whose
// magnitude before the mean goes is `spread` deviations). A logit adds width products of such t: that absolute error becomes a
// relative one of e^x, twice by the sum in the divisor. The mixture adds `tokens` roundings (or `outputs` in the divisor).
Expected mix_reference(const MixProblem& p) {
  std::vector<double> t(p.x.begin(), p.x.end());
  double token_error = 0;
  for (size_t n = 0; n < p.tokens && p.layer_norm; ++n) {
    double mean = 0, variance = 0, top = 0;
    for (size_t i = 0; i < p.width; ++i) mean += t[n * p.width + i] / static_cast<double>(p.width);
    for (size_t i = 0; i < p.width; ++i) {
      variance += (t[n * p.width + i] - mean) * (t[n * p.width + i] - mean) / static_cast<double>(p.width);
      top = std::max(top, std::abs(t[n * p.width + i]));
    }
    const double deviation = std::sqrt(variance + static_cast<double>(p.eps));
    for (size_t i = 0; i < p.width; ++i) {
      double& value = t[n * p.width + i];
      value = (value - mean) / deviation * (p.gamma.empty() ? 1 : p.gamma[i]) + (p.beta.empty() ? 0 : p.beta[i]);
    }
    token_error = std::max(token_error, kRounding * static_cast<double>(p.width + 8) * (1 + top / deviation));
  }
  std::vector<double> weights(p.tokens * p.outputs);
  double magnitude = 0, gain = 1;
  for (float g : p.gamma) gain = std::max(gain, static_cast<double>(std::abs(g)));
  token_error *= gain;
  double weight_sum = 0;
  for (size_t m = 0; m < p.outputs; ++m) {
    double sum = 0;
    for (size_t i = 0; i < p.width; ++i) sum += std::abs(p.w[i * p.outputs + m]);
    weight_sum = std::max(weight_sum, static_cast<double>(p.scale) * sum);
  }
  for (size_t n = 0; n < p.tokens; ++n) {
    for (size_t m = 0; m < p.outputs; ++m) {
      double logit = 0, terms = 0;
      for (size_t i = 0; i < p.width; ++i) {
        const double product = static_cast<double>(p.scale) * t[n * p.width + i] * p.w[i * p.outputs + m];
        logit += product;
        terms += std::abs(product);
      }
      weights[n * p.outputs + m] = logit;
      if (std::isfinite(terms)) magnitude = std::max(magnitude, terms);
    }
  }
  const size_t rows = p.over_outputs ? p.tokens : p.outputs, terms = p.over_outputs ? p.outputs : p.tokens;
  for (size_t row = 0; row < rows; ++row) {
    const auto at = [&](size_t k) -> double& { return p.over_outputs ? weights[row * p.outputs + k] : weights[k * p.outputs + row]; };
    double top = -INFINITY, total = 0;
    for (size_t k = 0; k < terms; ++k) top = std::max(top, at(k));
    for (size_t k = 0; k < terms; ++k) total += at(k) = std::exp(at(k) - top);
    for (size_t k = 0; k < terms; ++k) at(k) /= total;
  }
  const double weight_error =
      2 * (kRounding * (static_cast<double>(p.width + 5) * magnitude + 6) + token_error * weight_sum) + kRounding * static_cast<double>(terms + 2);
  Expected y{std::vector<double>(p.outputs * p.width), std::vector<double>(p.outputs * p.width)};
  for (size_t m = 0; m < p.outputs; ++m) {
    for (size_t i = 0; i < p.width; ++i) {
      double mass = 0, weight = 0, floor = 0;
      for (size_t n = 0; n < p.tokens; ++n) {
        floor += kSmallestWeight * std::abs(t[n * p.width + i]);
        const double term = weights[n * p.outputs + m] * t[n * p.width + i];
        y.value[m * p.width + i] += term;
        mass += std::abs(term);
        weight += weights[n * p.outputs + m];
      }
      y.bound[m * p.width + i] = mass * (weight_error + kRounding * static_cast<double>(p.tokens + 2)) + token_error * weight + floor;
    }
  }
  return y;
}

}  // namespace coppice::test
