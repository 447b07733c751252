#pragma once

#include <array>
#include <memory>
#include <mutex>

#include "../kernels/image.h"
#include "operator.h"

namespace coppice {

// A picture, resized, cropped and normalised as in training; contract in docs/reference/operators.md.
class ImageToTensor {
 public:
  static constexpr const char* kName = "ImageToTensor";
  static constexpr Port kInputs[] = {{"image", ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, false}};
  static constexpr Port kOutputs[] = {{"tensor", kFloat, false}};

  explicit ImageToTensor(const Ort::ConstKernelInfo& info);
  void compute(Ort::KernelContext& context);

 private:
  // The taps of one axis with the memory they lie in.
  struct Axis {
    std::vector<uint32_t> first, count;
    std::vector<int32_t> weights;
    ResampleTaps taps;
    Axis(Filter filter, size_t from, size_t to, size_t begin, size_t end);
    Axis(Axis&&) = default;  // a copy's taps would point into the original
  };
  // What depends on the picture's size alone.
  struct Plan {
    size_t width, height;
    bool vertical_first;
    Axis columns, rows;
  };

  Picture picture(const Input& image) const;
  // The kept plan if it fits, to be given back; shared ownership would need glibc 2.32.
  std::unique_ptr<const Plan> take_plan(const Picture& picture);
  void keep_plan(std::unique_ptr<const Plan> plan);

  PixelLayout layout_;
  bool full_range_;
  Filter filter_;
  size_t size_;
  std::array<size_t, 2> crop_;         // height, width
  std::array<float, 3 * 256> levels_;  // (level / 255 - mean) / std of each channel
  Ort::AllocatorWithDefaultOptions allocator_;
  std::mutex mutex_;
  std::unique_ptr<const Plan> plan_;  // of the last picture: a camera's pictures are of one size
};

}  // namespace coppice
