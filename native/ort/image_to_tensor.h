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
    Axis(Filter filter, size_t from, size_t to, size_t begin, size_t length);
    Axis(const Axis&) = delete;  // a copy's taps would point into the original
  };
  // What depends on the picture's size alone, and the memory a run needs, kept so that its pages stay.
  struct Plan {
    size_t width, height;
    Axis columns, rows;
    std::vector<int32_t> packed;  // of the columns
    size_t worker_floats;
    Scratch scratch;
    ResizedRows resized;
    float* workers;

    size_t resized_bytes(const ImageKernels& kernels) const {
      return (rows.taps.end - rows.taps.begin) * kernels.resized_rows(nullptr, columns.taps.outputs).row;
    }
    Plan(const ImageToTensor& kernel, const ImageKernels& kernels, const Picture& picture, size_t new_width, size_t new_height);
  };

  Picture picture(const Input& image) const;
  // The kept plan if it fits, to be given back; shared ownership would need glibc 2.32.
  std::unique_ptr<const Plan> take_plan(const ImageKernels& kernels, const Picture& picture);
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
