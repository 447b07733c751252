#include "pruning.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "top_k.h"

namespace coppice::test {
namespace {

// Of the tokens by falling value, how far `count` of them are from the next in units of their errors.
double gap(const std::vector<size_t>& order, size_t count, const std::vector<double>& value, const std::vector<double>& error) {
  if (count == 0 || count >= order.size()) return INFINITY;
  double least = INFINITY;
  for (size_t i = 0; i < count; ++i) {
    for (size_t j = count; j < order.size(); ++j) {
      const double errors = error[order[i]] + error[order[j]];
      if (errors > 0) least = std::min(least, (value[order[i]] - value[order[j]]) / errors);
    }
  }
  return least;
}

std::vector<size_t> falling(const std::vector<double>& value, size_t prefix) {
  std::vector<size_t> order(value.size() - prefix);
  std::iota(order.begin(), order.end(), prefix);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return value[a] != value[b] ? value[a] > value[b] : a < b; });
  return order;
}

}  // namespace

PruneProblem random_prune(size_t tokens, size_t prefix, size_t width, unsigned seed, bool by_distance) {
  PruneProblem p{tokens, prefix, width, (tokens - prefix + 1) / 2};
  p.merged = (p.patches() - p.count) * 2 / 3;
  p.by_distance = by_distance;
  p.scores = normal(tokens, seed);
  for (float& score : p.scores) score = std::abs(score);
  p.x = normal(tokens * width, seed + 1);
  p.size.resize(tokens);
  for (size_t i = 0; i < tokens; ++i) p.size[i] = 1 + static_cast<float>(i % 4);
  return p;
}

Pruned run_prune(const MergeKernels& kernels, const PruneProblem& p, size_t tile) {
  const size_t rows = p.prefix + p.count;
  const Guarded<float> scores(p.scores), x(p.x), size(p.size);
  Guarded<int64_t> order(p.patches());
  rank_tokens(scores.data(), p.tokens, p.prefix, order.data());
  const auto gathered = [&](size_t count) {
    Guarded<float> side_by_side(count * p.width);
    gather_rows(x.data(), p.width, order.data(), count, side_by_side.data());
    return side_by_side.values();
  };
  if (p.by_distance && p.count < p.patches()) {
    const Guarded<float> compared(gathered(p.patches()));
    const Places all{0, 1, p.patches()};
    const Guarded<float> similarity(run_matches(kernels, {compared.data(), p.width, 1, p.width, all, all, true}, tile).similarity);
    Guarded<float> values(p.tokens);
    weigh_by_distance(scores.data(), p.tokens, p.prefix, order.data(), similarity.data(), values.data());
    rank_tokens(values.data(), p.tokens, p.prefix, order.data());
    EXPECT_TRUE(values.untouched_before());
  }
  std::sort(order.data(), order.data() + p.count);
  std::sort(order.data() + p.count, order.data() + p.count + p.merged);
  const Guarded<float> compared(gathered(p.count + p.merged));
  const Matches matches = run_matches(kernels, {compared.data(), p.width, 1, p.width, {p.count, 1, p.merged}, {0, 1, p.count}, false}, tile);
  const PruneMerge merge{p.tokens, p.prefix, order.data(), p.count, order.data() + p.count, p.merged, matches.similarity.data(), matches.partner.data()};
  Guarded<uint32_t> first(rows), next(p.tokens);
  const MergePlan plan{first.data(), next.data(), nullptr};
  plan_prune_merge(merge, plan);
  Guarded<float> y(rows * p.width), members(rows), sizes(rows);
  kernels.average_rows(plan, x.data(), p.width, nullptr, 0, rows / 2, y.data(), members.data());
  kernels.average_rows(plan, x.data(), p.width, nullptr, rows / 2, rows, y.data(), members.data());
  prune_merge_sizes(merge, p.size.empty() ? nullptr : size.data(), sizes.data());
  EXPECT_TRUE(order.untouched_before() && first.untouched_before() && next.untouched_before());
  EXPECT_TRUE(y.untouched_before() && members.untouched_before() && sizes.untouched_before());
  const std::vector<uint32_t> index = first.values();
  return {{index.begin(), index.end()}, y.values(), sizes.values()};
}

// A cosine is a sum of `width` products over two lengths: width + 11 roundings of at most 1 on either side. A distance adds
// one, its product with the score another. A mean of n rows takes 2 n + 3 roundings of its terms, a size n + 2.
PrunedReference prune_reference(const PruneProblem& p) {
  const auto unit = [&](size_t token, size_t i) {
    double squares = 0;
    for (size_t k = 0; k < p.width; ++k) squares += static_cast<double>(p.x[token * p.width + k]) * p.x[token * p.width + k];
    return squares == 0 ? 0 : p.x[token * p.width + i] / std::sqrt(squares);
  };
  std::vector<double> units(p.tokens * p.width);
  for (size_t i = 0; i < units.size(); ++i) units[i] = unit(i / p.width, i % p.width);
  const auto cosine = [&](size_t a, size_t b) {
    return std::inner_product(&units[a * p.width], &units[a * p.width] + p.width, &units[b * p.width], 0.0);
  };
  const double error_of_cosine = 2 * kRounding * static_cast<double>(p.width + 11);

  std::vector<double> value(p.scores.begin(), p.scores.end()), error(p.tokens);
  std::vector<size_t> order = falling(value, p.prefix);
  if (p.by_distance && p.count < p.patches()) {
    for (size_t place = 0; place < order.size(); ++place) {
      double nearest = -1;
      for (size_t before = 0; before < place; ++before) nearest = std::max(nearest, cosine(order[place], order[before]));
      const double score = p.scores[order[place]];
      value[order[place]] = score * std::max(0.0, 1 - nearest);
      error[order[place]] = place == 0 ? 0 : std::abs(score) * (error_of_cosine + 4 * kRounding);
    }
    order = falling(value, p.prefix);
  }
  PrunedReference found{{}, {}, {}, std::min(gap(order, p.count, value, error), gap(order, p.count + p.merged, value, error))};

  std::vector<size_t> kept(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(p.count));
  std::sort(kept.begin(), kept.end());
  std::vector<size_t> row_of(p.tokens, p.tokens);
  for (size_t token = 0; token < p.prefix; ++token) found.index.push_back(static_cast<int64_t>(token));
  found.index.insert(found.index.end(), kept.begin(), kept.end());
  const auto size_of = [&](size_t token) { return p.size.empty() ? 1.0 : static_cast<double>(p.size[token]); };
  std::vector<double> sums(found.index.size() * p.width), magnitudes(sums.size()), members(found.index.size());
  const auto join = [&](size_t row, size_t token) {
    ++members[row];
    for (size_t i = 0; i < p.width; ++i) {
      sums[row * p.width + i] += p.x[token * p.width + i];
      magnitudes[row * p.width + i] += std::abs(p.x[token * p.width + i]);
    }
  };
  for (size_t row = 0; row < found.index.size(); ++row) {
    join(row, static_cast<size_t>(found.index[row]));
    found.size.value.push_back(size_of(static_cast<size_t>(found.index[row])));
    found.size.bound.push_back(0);
  }
  for (size_t i = p.count; i < p.count + p.merged; ++i) {
    size_t best = 0;
    double second = -2;
    for (size_t k = 1; k < kept.size(); ++k) {
      const double other = cosine(order[i], kept[k]), top = cosine(order[i], kept[best]);
      second = std::max(second, std::min(other, top));
      best = other > top ? k : best;
    }
    const double top = cosine(order[i], kept[best]);
    found.margin = std::min(found.margin, (top - second) / (2 * error_of_cosine));
    join(p.prefix + best, order[i]);
    found.size.value[p.prefix + best] += size_of(order[i]) * std::max(top, 0.0);
    found.size.bound[p.prefix + best] += size_of(order[i]) * error_of_cosine;
  }
  for (size_t i = 0; i < sums.size(); ++i) {
    const double n = members[i / p.width];
    found.y.value.push_back(sums[i] / n);
    found.y.bound.push_back(n == 1 ? 0 : kRounding * (2 * n + 3) * magnitudes[i] / n);
  }
  for (size_t row = 0; row < members.size(); ++row) found.size.bound[row] += members[row] == 1 ? 0 : kRounding * (members[row] + 2) * found.size.value[row];
  return found;
}

testing::AssertionResult right(const Pruned& found, const PrunedReference& expected) {
  if (found.index != expected.index) return testing::AssertionFailure() << "other tokens stay";
  const testing::AssertionResult rows = close(found.y, expected.y);
  return rows ? close(found.size, expected.size) : rows;
}

}  // namespace coppice::test
