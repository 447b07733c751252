#include "golden_case.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "half.h"

namespace coppice::test {
namespace {

std::string before(const std::string& text, char mark) { return text.substr(0, text.find(mark)); }
std::string after(const std::string& text, char mark) { return text.substr(text.find(mark) + 1); }

// `type` is dtype[d0,d1,...] as case.properties writes it.
Tensor read(const std::filesystem::path& file, const std::string& type) {
  Tensor tensor;
  size_t count = 1;
  std::istringstream dimensions(before(after(type, '['), ']'));
  for (std::string part; std::getline(dimensions, part, ',');) {
    tensor.shape.push_back(std::stoul(part));
    count *= tensor.shape.back();
  }
  std::ifstream stream(file, std::ios::binary);
  const auto fill = [&](auto& values) {
    values.resize(count);
    stream.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(count * sizeof(values[0])));
  };
  const std::string dtype = before(type, '[');
  if (dtype == "float32") {
    fill(tensor.floats);
  } else if (dtype == "float16") {
    std::vector<uint16_t> half;
    fill(half);
    for (const uint16_t value : half) tensor.floats.push_back(static_cast<float>(half_value(value)));
  } else if (dtype == "int64") {
    fill(tensor.integers);
  } else if (dtype == "uint8") {
    fill(tensor.bytes);
  } else {
    throw std::runtime_error(file.string() + ": expected float16, float32, int64 or uint8, found " + dtype);
  }
  if (!stream || stream.peek() != std::ifstream::traits_type::eof()) throw std::runtime_error(file.string() + " does not hold " + type);
  return tensor;
}

GoldenCase read_case(const std::filesystem::path& folder) {
  GoldenCase golden;
  golden.name = folder.parent_path().filename().string() + "/" + folder.filename().string();
  std::ifstream stream(folder / "case.properties");
  for (std::string line; std::getline(stream, line);) golden.properties[before(line, '=')] = after(line, '=');
  for (const auto& [key, value] : golden.properties) {
    if (key.rfind("input.", 0) == 0) golden.inputs[after(key, '.')] = read(folder / (key + ".bin"), value);
    if (key.rfind("output.", 0) == 0) golden.outputs[after(key, '.')] = read(folder / (key + ".bin"), value);
  }
  return golden;
}

}  // namespace

std::string GoldenCase::attribute(const std::string& key, const std::string& fallback) const {
  const auto found = properties.find("attr." + key);
  return found == properties.end() ? fallback : found->second;
}

double GoldenCase::number(const std::string& key, double fallback) const {
  const auto found = properties.find("attr." + key);
  return found == properties.end() ? fallback : std::stod(found->second);
}

std::vector<double> GoldenCase::numbers(const std::string& key, std::vector<double> fallback) const {
  const auto found = properties.find("attr." + key);
  if (found == properties.end()) return fallback;
  fallback.clear();
  std::istringstream values(found->second);
  for (std::string value; std::getline(values, value, ',');) fallback.push_back(std::stod(value));
  return fallback;
}

const Tensor* GoldenCase::input(const std::string& key) const {
  const auto found = inputs.find(key);
  return found == inputs.end() ? nullptr : &found->second;
}

const Tensor* GoldenCase::output(const std::string& key) const {
  const auto found = outputs.find(key);
  return found == outputs.end() ? nullptr : &found->second;
}

double GoldenCase::tolerance() const { return std::stod(properties.at("tolerance")); }

std::vector<GoldenCase> golden_cases(const std::filesystem::path& root, const std::string& operator_name) {
  std::vector<GoldenCase> cases;
  for (const auto& folder : std::filesystem::directory_iterator(root / operator_name)) cases.push_back(read_case(folder.path()));
  std::sort(cases.begin(), cases.end(), [](const GoldenCase& a, const GoldenCase& b) { return a.name < b.name; });
  return cases;
}

}  // namespace coppice::test
