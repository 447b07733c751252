// Layer norm of one row, for inclusion inside the anonymous namespace of one instruction set's source.

// The sum of term(x) over a row, for a vector and for a number; of two vectors by turns, as one would wait for its own last sum.
template <class Term>
COPPICE_INLINE inline float row_sum(const float* x, size_t width, const Term& term) {
  Vec even = splat(0), odd = splat(0);
  size_t i = 0;
  for (; i + 2 * kLanes <= width; i += 2 * kLanes) even += term(load(x + i)), odd += term(load(x + i + kLanes));
  if (i + kLanes <= width) even += term(load(x + i)), i += kLanes;
  float total = sum(even + odd);
  for (; i < width; ++i) total += lane(term(splat(x[i])), 0);
  return total;
}

// y = (x - mean) / sqrt(variance + epsilon), times weight and plus bias where they are not null. y may be x.
inline void normalise_row(const float* x, size_t width, const float* weight, const float* bias, float epsilon, float* y) {
  const float mean = row_sum(x, width, [](Vec v) COPPICE_INLINE { return v; }) / static_cast<float>(width);
  const auto square = [&](Vec v) COPPICE_INLINE { return (v - splat(mean)) * (v - splat(mean)); };
  const float variance = row_sum(x, width, square) / static_cast<float>(width), factor = 1 / __builtin_sqrtf(variance + epsilon);
  size_t i = 0;
  const auto put = [&](size_t at) COPPICE_INLINE {
    Vec value = (load(x + at) - splat(mean)) * splat(factor);
    if (weight) value *= load(weight + at);
    if (bias) value += load(bias + at);
    store(y + at, value);
  };
  for (; i + 2 * kLanes <= width; i += 2 * kLanes) put(i), put(i + kLanes);
  if (i + kLanes <= width) put(i), i += kLanes;
  for (; i < width; ++i) y[i] = (x[i] - mean) * factor * (weight ? weight[i] : 1) + (bias ? bias[i] : 0);
}
