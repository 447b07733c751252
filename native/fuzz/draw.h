// What the fuzzer's bytes mean: numbers, choices, and tensors of values that break arithmetic. Bytes that are not there are 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "problem.h"

namespace coppice::fuzz {

class Draw {
 public:
  Draw(const uint8_t* bytes, size_t left) : bytes_(bytes), left_(left) {}

  // low..high, both included.
  size_t number(size_t low, size_t high);
  bool flag() { return number(0, 1) == 1; }
  template <class T>
  T one_of(std::initializer_list<T> choices) {
    return choices.begin()[number(0, choices.size() - 1)];
  }

  // Plain numbers, ties, all magnitudes, or bits at random; in some, NaN, infinities, denormals and huge numbers here and there.
  std::vector<float> floats(size_t count);
  // Evenly between -spread and spread.
  std::vector<float> even(size_t count, float spread = 1);
  std::vector<int64_t> integers(size_t count, size_t low, size_t high);

  // tokens, heads, dim and, at times, query rows: mostly small, now and then past every tile and block. The product of tokens,
  // rows, heads and dim stays below 20,000, which the reference in double does in less than a millisecond.
  test::Problem problem();

 private:
  size_t size(size_t most, std::initializer_list<size_t> borders);

  const uint8_t* bytes_;
  size_t left_;
};

}  // namespace coppice::fuzz
