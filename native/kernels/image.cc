#include "image.h"

#include <algorithm>
#include <cmath>

#include "table_for.h"

namespace coppice {
namespace {

// Pillow's filters, operation by operation: a weight that differs in its last bit can turn a rounding.
double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

double bilinear(double x) { return std::max(1 - std::abs(x), 0.0); }

double support(Filter filter, double filter_scale) { return (filter == Filter::kBicubic ? 2 : 1) * filter_scale; }

}  // namespace

size_t resample_stride(Filter filter, size_t from, size_t to) {
  if (filter == Filter::kNearest) return 1;
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  return std::min(from, static_cast<size_t>(std::ceil(support(filter, std::max(scale, 1.0)))) * 2 + 1);
}

ResampleTaps resample_taps(Filter filter, size_t from, size_t to, size_t begin, size_t end, uint32_t* first, uint32_t* count, int32_t* weights,
                           double* exact) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double filter_scale = std::max(scale, 1.0), reach = support(filter, filter_scale);
  ResampleTaps taps{end - begin, resample_stride(filter, from, to), first, count, weights, from, 0};
  double nearest = scale * 0.5;
  // Pillow steps from pixel to pixel, roundings included.
  for (size_t i = 0; filter == Filter::kNearest && i < begin; ++i) nearest += scale;
  for (size_t i = begin; i < end; ++i, ++first, ++count, weights += taps.stride) {
    if (filter == Filter::kNearest) {
      *first = std::min(static_cast<uint32_t>(nearest), static_cast<uint32_t>(from - 1));
      *count = 1;
      weights[0] = 1 << kWeightBits;
      nearest += scale;
    } else {
      const double centre = (static_cast<double>(i) + 0.5) * scale;
      size_t low = static_cast<size_t>(std::max(centre - reach + 0.5, 0.0));
      size_t high = std::min(static_cast<size_t>(centre + reach + 0.5), from);
      double sum = 0;
      for (size_t j = low; j < high; ++j) {
        const double x = (static_cast<double>(j) - centre + 0.5) * (1 / filter_scale);
        sum += exact[j - low] = filter == Filter::kBicubic ? bicubic(x) : bilinear(x);
      }
      for (size_t j = 0; j < high - low; ++j) {
        const double weight = exact[j] / sum * (1 << kWeightBits);
        weights[j] = static_cast<int32_t>(weight < 0 ? weight - 0.5 : weight + 0.5);
      }
      // Zeros at the ends change no sum; without them an unchanged size costs one tap.
      size_t zeros = 0;
      while (low + zeros + 1 < high && weights[zeros] == 0) ++zeros;
      std::copy(weights + zeros, weights + (high - low), weights);
      low += zeros;
      while (high > low + 1 && weights[high - low - 1] == 0) --high;
      *first = static_cast<uint32_t>(low);
      *count = static_cast<uint32_t>(high - low);
    }
    taps.begin = std::min<size_t>(taps.begin, *first);
    taps.end = std::max<size_t>(taps.end, *first + *count);
  }
  return taps;
}

const ImageKernels& image_kernels(const char* isa) {
#if defined(__x86_64__)
  return table_for(isa, {&scalar::image::kKernels, &avx2::image::kKernels, &avx512::image::kKernels});
#else
  return table_for(isa, {&scalar::image::kKernels, &neon::image::kKernels});
#endif
}

}  // namespace coppice
