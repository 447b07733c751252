#include "top_k_reference.h"

#include <algorithm>

namespace coppice::test {
namespace {

std::vector<size_t> pruned(size_t tokens, const std::vector<int64_t>& index) {
  std::vector<size_t> rest;
  for (size_t i = 0; i < tokens; ++i) {
    if (!std::binary_search(index.begin(), index.end(), static_cast<int64_t>(i))) rest.push_back(i);
  }
  return rest;
}

}  // namespace

std::vector<int64_t> selection_reference(const std::vector<float>& scores, size_t prefix, size_t count) {
  std::vector<int64_t> numbers, missing;
  for (size_t i = prefix; i < scores.size(); ++i) (std::isnan(scores[i]) ? missing : numbers).push_back(static_cast<int64_t>(i));
  std::sort(numbers.begin(), numbers.end(), [&](int64_t a, int64_t b) {
    const float x = scores[static_cast<size_t>(a)], y = scores[static_cast<size_t>(b)];
    return x == y ? a < b : x > y;
  });
  numbers.insert(numbers.end(), missing.begin(), missing.end());
  numbers.resize(count);
  for (size_t i = 0; i < prefix; ++i) numbers.push_back(static_cast<int64_t>(i));
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

Expected fused_reference(const std::vector<float>& scores, const std::vector<float>& x, size_t width, const std::vector<int64_t>& index,
                         bool mean) {
  const std::vector<size_t> rest = pruned(scores.size(), index);
  double total = 0, total_mass = 0, largest = 1;
  for (const size_t i : rest) {
    total += scores[i];
    total_mass += std::abs(scores[i]);
    largest = std::max<double>(largest, std::abs(scores[i]));
  }
  const bool plain = mean && total_mass == 0;
  if (plain) total = total_mass = static_cast<double>(rest.size());
  // One rounding a term, and three more; a float holds neither the inverse of a tiny sum nor the products of huge numbers.
  const double rounding = static_cast<double>(rest.size() + 3) * kRounding;
  const double divisor = mean ? total : 1, divisor_error = mean ? rounding * total_mass / std::abs(total) : 0;
  Expected y{std::vector<double>(width), std::vector<double>(width)};
  for (size_t f = 0; f < width; ++f) {
    double mass = 0, reach = largest * std::max(1.0, 1 / std::abs(divisor)) * static_cast<double>(rest.size() + 1);
    for (const size_t i : rest) {
      const double product = (plain ? 1 : scores[i]) * static_cast<double>(x[i * width + f]);
      y.value[f] += product;
      mass += std::abs(product);
      if (std::abs(x[i * width + f]) > 1) reach = std::max(reach, reach * std::abs(x[i * width + f]));
    }
    y.value[f] /= divisor;
    const bool lost_all = reach > 1e37 || divisor_error > 0.125;
    y.bound[f] = lost_all ? INFINITY
                          : (rounding * mass / std::abs(divisor) + std::abs(y.value[f]) * divisor_error) / (1 - divisor_error) + 1e-37 * reach;
  }
  return y;
}

Expected pruned_size_reference(const std::vector<float>& size, const std::vector<int64_t>& index) {
  double total = 0, mass = 0;
  for (const size_t i : pruned(size.size(), index)) {
    total += size[i];
    mass += std::abs(size[i]);
  }
  return {{total}, {mass > 1e37 ? INFINITY : mass * kRounding * static_cast<double>(size.size())}};
}

}  // namespace coppice::test
