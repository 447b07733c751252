// A golden case as a suite's parameter: its name, and its tensors batch item by batch item.
#pragma once

#include <cctype>
#include <string>
#include <vector>

#include "closeness.h"
#include "golden_case.h"

namespace coppice::test {

inline std::string case_name(const std::string& isa, const GoldenCase& golden) {
  std::string name = isa + "_" + golden.name.substr(golden.name.find('/') + 1);
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
}

template <class T>
std::vector<T> item(const std::vector<T>& all, size_t batch, size_t number) {
  const size_t length = all.size() / batch;
  return {all.begin() + static_cast<std::ptrdiff_t>(number * length), all.begin() + static_cast<std::ptrdiff_t>((number + 1) * length)};
}

inline Expected expected(const Tensor& output, size_t batch, size_t number, double tolerance) {
  const std::vector<float> values = item(output.floats, batch, number);
  return {{values.begin(), values.end()}, std::vector<double>(values.size(), tolerance)};
}

}  // namespace coppice::test
