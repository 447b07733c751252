// A picture to be resized, the way a caller drives the kernels through it, and two definitions to hold the result against.
#pragma once

#include <vector>

#include "closeness.h"
#include "image.h"

namespace coppice::test {

struct ImageProblem {
  size_t width, height;            // of the picture
  size_t new_width, new_height;    // resized
  size_t left, top;                // of the crop in it
  size_t crop_width, crop_height;
  Filter filter = Filter::kBicubic;
  PixelLayout layout = PixelLayout::kRgb;
  bool full_range = false;
  std::vector<uint8_t> pixels{};
  std::vector<double> mean{0.485, 0.456, 0.406}, std{0.229, 0.224, 0.225};

  std::vector<float> levels() const;
};

// Levels that the kernels' nv12 conversion may be off: half of one for its rounding, and in the limited range OpenCV's
// constants of three decimals (1.164, 2.018) against BT.601's 255 / 219 and 2.01723: 239 * 0.0004 + 128 * 0.0008.
inline double nv12_error(bool full_range) { return full_range ? 0.502 : 0.502 + 0.2; }

// Random bytes under a pattern of full contrast, so that the filter overshoots and is clipped.
ImageProblem random_image(size_t width, size_t height, size_t new_width, size_t new_height, PixelLayout layout = PixelLayout::kRgb);

// [3, crop_height, crop_width]
std::vector<float> run_image(const ImageKernels& kernels, const ImageProblem& problem);

// What Pillow does, in whole numbers and with whole rows of weights; exact.
std::vector<float> image_in_integers(const ImageProblem& problem);
// The filter itself, in double and without rounding to levels: each pass may be off by half a level.
Expected image_reference(const ImageProblem& problem);

}  // namespace coppice::test
