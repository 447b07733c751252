#include "draw.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace coppice::fuzz {
namespace {

// Steele and Vigna's splitmix64: any seed will do.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  size_t below(size_t n) { return static_cast<size_t>(next() % n); }
  double between(double low, double high) { return low + (high - low) * static_cast<double>(next() >> 11) / 9007199254740992.0; }

 private:
  uint64_t state_;
};

using Limits = std::numeric_limits<float>;

float special(Random& random) {
  static const float all[] = {Limits::quiet_NaN(),    Limits::infinity(), -Limits::infinity(),   Limits::max(), -Limits::max(), 0.0f,    -0.0f,
                              Limits::denorm_min(), Limits::min(),      -Limits::denorm_min(), 1e-41f,        1e19f,          -1e30f};
  return all[random.below(std::size(all))];
}

enum class Kind { kPlain, kTies, kEqual, kMagnitudes, kBits, kLarge, kCount };

float value(Kind kind, Random& random) {
  switch (kind) {
    case Kind::kTies: return static_cast<float>(static_cast<int>(random.below(5)) - 2);
    case Kind::kMagnitudes: return static_cast<float>(random.between(-2, 2) * std::exp2(random.between(-60, 60)));
    case Kind::kLarge: return static_cast<float>(random.between(-300, 300));
    case Kind::kBits: {
      const auto bits = static_cast<uint32_t>(random.next());
      float x;
      std::memcpy(&x, &bits, sizeof(x));
      return x;
    }
    default: return static_cast<float>(random.between(-2, 2));
  }
}

}  // namespace

size_t Draw::number(size_t low, size_t high) {
  size_t drawn = 0;
  for (size_t range = high - low; range > 0; range >>= 8) {
    drawn = drawn << 8 | (left_ > 0 ? *bytes_ : 0);
    if (left_ > 0) ++bytes_, --left_;
  }
  return high - low == SIZE_MAX ? drawn : low + drawn % (high - low + 1);
}

std::vector<float> Draw::floats(size_t count) {
  const auto kind = static_cast<Kind>(number(0, static_cast<size_t>(Kind::kCount) - 1));
  const size_t specials = one_of<size_t>({0, 0, 0, 1, count / 8, count});
  Random random(number(0, 0xffff));
  std::vector<float> all(count);
  const float first = value(kind, random);
  for (float& x : all) x = kind == Kind::kEqual ? first : value(kind, random);
  for (size_t i = 0; i < specials && count > 0; ++i) all[random.below(count)] = special(random);
  return all;
}

std::vector<float> Draw::even(size_t count, float spread) {
  Random random(number(0, 0xffff));
  std::vector<float> all(count);
  for (float& x : all) x = spread * static_cast<float>(random.between(-1, 1));
  return all;
}

std::vector<int64_t> Draw::integers(size_t count, size_t low, size_t high) {
  Random random(number(0, 0xffff));
  std::vector<int64_t> all(count);
  for (int64_t& x : all) x = static_cast<int64_t>(low + random.below(high - low + 1));
  return all;
}

size_t Draw::size(size_t most, std::initializer_list<size_t> borders) {
  if (number(0, 7) > 0) return number(1, most);
  return one_of(borders) + number(0, 2) - 1;
}

test::Problem Draw::problem() {
  constexpr size_t kWork = 20000;
  const size_t tokens = size(12, {32, 48, 64, 128, 256, 300}), dim = size(9, {8, 16, 32, 48, 64, 80});
  size_t heads = number(1, 3);
  while (heads > 1 && tokens * heads * dim > kWork) --heads;
  size_t rows = flag() ? number(1, tokens + 3) : tokens;
  const bool indexed = rows != tokens || flag() || tokens * rows * heads * dim > kWork;
  rows = std::min(rows, std::max<size_t>(kWork / (tokens * heads * dim), 1));
  test::Problem p{tokens, heads, dim, floats(tokens * 3 * heads * dim), {}, {}, {}, {}, {}};
  if (indexed) p.query_index = integers(rows, 0, tokens - 1);
  return p;
}

}  // namespace coppice::fuzz
