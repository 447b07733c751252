// Layer norm of one row, for inclusion inside the anonymous namespace of one instruction set's source.

// y = (x - mean) / sqrt(variance + epsilon), times weight and plus bias where they are not null. y may be x.
inline void normalise_row(const float* x, size_t width, const float* weight, const float* bias, float epsilon, float* y) {
  float mean = 0, variance = 0;
  Vec sums = splat(0), squares = splat(0);
  size_t i = 0;
  for (; i + kLanes <= width; i += kLanes) sums += load(x + i);
  for (mean = sum(sums); i < width; ++i) mean += x[i];
  mean /= static_cast<float>(width);
  for (i = 0; i + kLanes <= width; i += kLanes) {
    const Vec d = load(x + i) - splat(mean);
    squares += d * d;
  }
  for (variance = sum(squares); i < width; ++i) variance += (x[i] - mean) * (x[i] - mean);
  variance /= static_cast<float>(width);
  const float factor = 1 / __builtin_sqrtf(variance + epsilon);
  for (i = 0; i + kLanes <= width; i += kLanes) {
    Vec value = (load(x + i) - splat(mean)) * splat(factor);
    if (weight) value *= load(weight + i);
    if (bias) value += load(bias + i);
    store(y + i, value);
  }
  for (; i < width; ++i) y[i] = (x[i] - mean) * factor * (weight ? weight[i] : 1) + (bias ? bias[i] : 0);
}
