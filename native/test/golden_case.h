// A golden case: native/golden/<Operator>/<case>/, shared with the tests of Python and Java.
#pragma once

#include <filesystem>
#include <map>
#include <ostream>
#include <string>
#include <vector>

namespace coppice::test {

struct Tensor {
  std::vector<size_t> shape;
  std::vector<float> floats;      // of dtype float32 or float16
  std::vector<int64_t> integers;  // of dtype int64
  std::vector<uint8_t> bytes;     // of dtype uint8
};

struct GoldenCase {
  std::string name;  // Operator/case
  std::map<std::string, std::string> properties;
  std::map<std::string, Tensor> inputs, outputs;

  std::string attribute(const std::string& key, const std::string& fallback) const;
  double number(const std::string& key, double fallback) const;
  std::vector<double> numbers(const std::string& key, std::vector<double> fallback) const;
  const Tensor* input(const std::string& key) const;
  const Tensor* output(const std::string& key) const;
  double tolerance() const;

  // Names the case in GoogleTest's messages.
  friend void PrintTo(const GoldenCase& golden, std::ostream* out) { *out << golden.name; }
};

// The cases of one operator, in order of name.
std::vector<GoldenCase> golden_cases(const std::filesystem::path& root, const std::string& operator_name);

}  // namespace coppice::test
