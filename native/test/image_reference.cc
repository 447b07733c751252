#include "image_reference.h"

#include <algorithm>
#include <random>

#include "guarded.h"

namespace coppice::test {
namespace {

using Weights = std::vector<std::vector<double>>;  // [new, old]

double filter_at(Filter filter, double x) {
  x = std::abs(x);
  if (filter == Filter::kBilinear) return std::max(0.0, 1 - x);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
}

// Rows that sum to 1.
Weights weights(Filter filter, size_t from, size_t to) {
  Weights all(to, std::vector<double>(from));
  const double scale = static_cast<double>(from) / static_cast<double>(to), stretch = std::max(1.0, scale);
  double nearest = scale * 0.5;
  for (size_t i = 0; i < to; ++i, nearest += scale) {
    if (filter == Filter::kNearest) {
      all[i][std::min(from - 1, static_cast<size_t>(nearest))] = 1;
      continue;
    }
    const double centre = (static_cast<double>(i) + 0.5) * scale, reach = (filter == Filter::kBicubic ? 2 : 1) * stretch;
    double total = 0;
    for (size_t j = 0; j < from; ++j) {
      // A pixel takes part where its middle is within reach, to the nearest pixel.
      if (static_cast<double>(j) < std::floor(std::max(0.0, centre - reach + 0.5)) || static_cast<double>(j) >= std::floor(centre + reach + 0.5)) continue;
      total += all[i][j] = filter_at(filter, (static_cast<double>(j) - centre + 0.5) * (1 / stretch));
    }
    for (double& weight : all[i]) weight /= total;
  }
  return all;
}

// Red, green and blue of every pixel, in levels.
std::vector<double> rgb(const ImageProblem& p, bool rounded) {
  std::vector<double> all(p.pixels.begin(), p.pixels.end());
  if (p.layout == PixelLayout::kRgb) return all;
  all.clear();
  for (size_t y = 0; y < p.height; ++y) {
    for (size_t x = 0; x < p.width; ++x) {
      const uint8_t* chroma = p.pixels.data() + p.width * (p.height + y / 2) + x / 2 * 2;
      const double u = chroma[0] - 128.0, v = chroma[1] - 128.0, luma = p.pixels[y * p.width + x];
      // ITU-R BT.601: Kr = 0.299, Kb = 0.114; 219 levels of luma and 224 of chroma in the limited range.
      const double light = p.full_range ? luma : std::max(0.0, luma - 16) * 255 / 219, chroma_gain = p.full_range ? 1 : 255.0 / 224;
      for (double level : {light + 1.402 * chroma_gain * v, light - (0.114 * 1.772 * u + 0.299 * 1.402 * v) / 0.587 * chroma_gain,
                           light + 1.772 * chroma_gain * u}) {
        level = std::clamp(level, 0.0, 255.0);
        all.push_back(rounded ? std::floor(level + 0.5) : level);
      }
    }
  }
  return all;
}

// Values and their error bounds after one pass over axis 0 (rows) or 1 (columns) of [height, width, 3].
struct Plane {
  size_t height, width;
  std::vector<double> value, error;
};

Plane pass(const Plane& in, const Weights& weights, bool rows, bool in_integers) {
  Plane out{rows ? weights.size() : in.height, rows ? in.width : weights.size(), {}, {}};
  for (size_t y = 0; y < out.height; ++y) {
    for (size_t x = 0; x < out.width; ++x) {
      const std::vector<double>& weight = weights[rows ? y : x];
      for (size_t c = 0; c < 3; ++c) {
        double real = 0, wrong = 0.5;  // rounded to a level
        int64_t whole = 1 << (kWeightBits - 1);
        for (size_t j = 0; j < weight.size(); ++j) {
          if (weight[j] == 0) continue;
          const size_t at = ((rows ? j : y) * in.width + (rows ? x : j)) * 3 + c;
          real += weight[j] * in.value[at];
          wrong += std::abs(weight[j]) * in.error[at] + 256 * 0.5 / (1 << kWeightBits);  // the weight's own rounding
          if (in_integers) {
            const double scaled = weight[j] * (1 << kWeightBits);
            whole += static_cast<int64_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5) * static_cast<int64_t>(in.value[at]);
          }
        }
        out.value.push_back(std::clamp(in_integers ? static_cast<double>(whole >> kWeightBits) : real, 0.0, 255.0));
        out.error.push_back(wrong);
      }
    }
  }
  return out;
}

Plane resized(const ImageProblem& p, bool in_integers) {
  Plane plane{p.height, p.width, rgb(p, in_integers), {}};
  plane.error.assign(plane.value.size(), p.layout == PixelLayout::kRgb ? 0 : nv12_error(p.full_range));
  Weights columns = weights(p.filter, p.width, p.new_width), rows = weights(p.filter, p.height, p.new_height);
  columns = {columns.begin() + static_cast<std::ptrdiff_t>(p.left), columns.begin() + static_cast<std::ptrdiff_t>(p.left + p.crop_width)};
  rows = {rows.begin() + static_cast<std::ptrdiff_t>(p.top), rows.begin() + static_cast<std::ptrdiff_t>(p.top + p.crop_height)};
  return pass(pass(plane, columns, false, in_integers), rows, true, in_integers);
}

}  // namespace

std::vector<float> ImageProblem::levels() const {
  std::vector<float> all;
  for (size_t channel = 0; channel < 3; ++channel) {
    for (int level = 0; level < 256; ++level) {
      all.push_back((static_cast<float>(level) / 255.0f - static_cast<float>(mean[channel])) / static_cast<float>(std[channel]));
    }
  }
  return all;
}

ImageProblem random_image(size_t width, size_t height, size_t new_width, size_t new_height, PixelLayout layout) {
  ImageProblem p{width, height, new_width, new_height, 0, 0, new_width, new_height};
  p.layout = layout;
  std::mt19937 engine(static_cast<unsigned>(1000 * width + height));
  const size_t row = layout == PixelLayout::kRgb ? 3 * width : width, rows = layout == PixelLayout::kRgb ? height : height * 3 / 2;
  for (size_t y = 0; y < rows; ++y) {
    for (size_t x = 0; x < row; ++x) {
      const auto noise = static_cast<uint8_t>(engine() >> 24);
      p.pixels.push_back((x / 27 + y / 7) % 3 == 0 ? 255 : (x / 27 + y / 7) % 3 == 1 ? 0 : noise);
    }
  }
  return p;
}

std::vector<float> run_image(const ImageKernels& kernels, const ImageProblem& p) {
  struct Axis {
    Guarded<uint32_t> first, count;
    Guarded<int32_t> weights;
    ResampleTaps taps;
    Axis(Filter filter, size_t from, size_t to, size_t begin, size_t length)
        : first(length), count(length), weights(length * resample_stride(filter, from, to)) {
      Guarded<double> exact(resample_stride(filter, from, to));
      taps = resample_taps(filter, from, to, begin, begin + length, first.data(), count.data(), weights.data(), exact.data());
    }
  };
  const Axis columns(p.filter, p.width, p.new_width, p.left, p.crop_width), rows(p.filter, p.height, p.new_height, p.top, p.crop_height);
  const Guarded<uint8_t> pixels(p.pixels);
  const Guarded<float> levels(p.levels());
  const Picture picture{pixels.data(), p.width, p.height, p.layout, p.full_range};
  Guarded<float> tensor(3 * p.crop_height * p.crop_width);
  // Rounded up to where sums of 32 bits may begin.
  const size_t scratch = (kernels.scratch(picture, columns.taps) + 3) / 4;
  Guarded<int32_t> packed(kernels.packed_columns(columns.taps));
  kernels.pack_columns(columns.taps, packed.data());
  EXPECT_TRUE(packed.untouched_before());
  Guarded<uint8_t> bytes((rows.taps.end - rows.taps.begin) * kernels.resized_rows(nullptr, p.crop_width).row);
  const ResizedRows resized = kernels.resized_rows(bytes.data(), p.crop_width);
  for (size_t row = rows.taps.begin; row < rows.taps.end; row += kernels.rows) {
    Guarded<float> worker(scratch);
    kernels.horizontal(picture, columns.taps, packed.data(), row, std::min(row + kernels.rows, rows.taps.end), resized, rows.taps.begin, worker.data());
    EXPECT_TRUE(worker.untouched_before());
  }
  for (size_t y = 0; y < p.crop_height; ++y) {
    Guarded<float> worker(scratch);
    kernels.vertical(resized, rows.taps, y, p.crop_width, levels.data(), tensor.data(), worker.data());
    EXPECT_TRUE(worker.untouched_before());
  }
  EXPECT_TRUE(bytes.untouched_before());
  EXPECT_TRUE(tensor.untouched_before());
  return tensor.values();
}

std::vector<float> image_in_integers(const ImageProblem& p) {
  const Plane plane = resized(p, true);
  const std::vector<float> levels = p.levels();
  std::vector<float> tensor;
  for (size_t c = 0; c < 3; ++c) {
    for (size_t at = c; at < plane.value.size(); at += 3) tensor.push_back(levels[c * 256 + static_cast<size_t>(plane.value[at])]);
  }
  return tensor;
}

Expected image_reference(const ImageProblem& p) {
  const Plane plane = resized(p, false);
  Expected tensor;
  for (size_t c = 0; c < 3; ++c) {
    for (size_t at = c; at < plane.value.size(); at += 3) {
      tensor.value.push_back((plane.value[at] / 255 - p.mean[c]) / p.std[c]);
      tensor.bound.push_back(plane.error[at] / 255 / p.std[c] + 1e-6);  // three float roundings of numbers below 3
    }
  }
  return tensor;
}

}  // namespace coppice::test
