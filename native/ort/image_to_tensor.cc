#include "image_to_tensor.h"

#include <algorithm>
#include <cmath>

namespace coppice {
namespace {

// Longer sides would take 32-bit sizes past their end.
constexpr int64_t kLongestSide = 1 << 20;

// Halves go to the even side, as Python's round and Java's rint have it.
size_t margin(size_t resized, size_t crop) { return static_cast<size_t>(std::nearbyint(static_cast<double>(resized - crop) / 2)); }

size_t floats(size_t bytes) { return (bytes + sizeof(float) - 1) / sizeof(float); }

}  // namespace

ImageToTensor::Axis::Axis(Filter filter, size_t from, size_t to, size_t begin, size_t length)
    : first(length), count(length), weights(length * resample_stride(filter, from, to)) {
  std::vector<double> exact(resample_stride(filter, from, to));
  taps = resample_taps(filter, from, to, begin, begin + length, first.data(), count.data(), weights.data(), exact.data());
}

ImageToTensor::Plan::Plan(const ImageToTensor& kernel, const ImageKernels& kernels, const Picture& p, size_t new_width, size_t new_height)
    : width(p.width),
      height(p.height),
      columns(kernel.filter_, p.width, new_width, margin(new_width, kernel.crop_[1]), kernel.crop_[1]),
      rows(kernel.filter_, p.height, new_height, margin(new_height, kernel.crop_[0]), kernel.crop_[0]),
      packed(kernels.packed_columns(columns.taps)),
      worker_floats(floats(kernels.scratch(p, columns.taps))),
      scratch(kernel.allocator_, floats(resized_bytes(kernels)) + worker_limit() * worker_floats) {
  kernels.pack_columns(columns.taps, packed.data());
  resized = kernels.resized_rows(reinterpret_cast<uint8_t*>(scratch.take(floats(resized_bytes(kernels)))), columns.taps.outputs);
  workers = scratch.take(worker_limit() * worker_floats);
}

ImageToTensor::ImageToTensor(const Ort::ConstKernelInfo& info) {
  layout_ = choice_attribute(info, "layout", {"rgb", "nv12"}) == 0 ? PixelLayout::kRgb : PixelLayout::kNv12;
  full_range_ = choice_attribute(info, "range", {"limited", "full"}) == 1;
  filter_ = static_cast<Filter>(choice_attribute(info, "interpolation", {"bicubic", "bilinear", "nearest"}));
  const int64_t size = integer_attribute(info, "size", 0, 1, 1 << 16);
  size_ = static_cast<size_t>(size);
  const std::array<int64_t, 2> crop = list_attribute<int64_t, 2>(info, "crop", {size, size});
  const auto mean = list_attribute<float, 3>(info, "mean", {0.5f, 0.5f, 0.5f}), std = list_attribute<float, 3>(info, "std", {0.5f, 0.5f, 0.5f});
  for (size_t axis = 0; axis < 2; ++axis) {
    if (crop[axis] < 1 || crop[axis] > 1 << 16) {
      refuse("attribute crop must hold a height and a width of 1..65536, found " + shape_text({crop[0], crop[1]}) + ".");
    }
    crop_[axis] = static_cast<size_t>(crop[axis]);
  }
  for (size_t channel = 0; channel < 3; ++channel) {
    if (!std::isfinite(mean[channel])) refuse("attribute mean must be finite, found " + std::to_string(mean[channel]) + ".");
    if (!std::isfinite(std[channel]) || std[channel] <= 0) {
      refuse("attribute std must be finite and above 0, found " + std::to_string(std[channel]) + ".");
    }
    // The same float arithmetic as numpy's and Java's.
    for (size_t level = 0; level < 256; ++level) {
      levels_[channel * 256 + level] = (static_cast<float>(level) / 255.0f - mean[channel]) / std[channel];
    }
  }
}

Picture ImageToTensor::picture(const Input& image) const {
  const bool rgb = layout_ == PixelLayout::kRgb;
  const int64_t rows = image.shape[0], columns = image.shape[1];
  if (rgb ? image.shape[2] != 3 : rows % 3 != 0 || columns % 2 != 0) {
    refuse(std::string("input image must have shape ") + (rgb ? "[H,W,3]" : "[H*3/2,W] with even H and W") + " for layout=" +
           (rgb ? "rgb" : "nv12") + ", found " + shape_text(image.shape) + "; set layout to the picture's own.");
  }
  if (rows < 1 || columns < 1 || rows > kLongestSide || columns > kLongestSide) {
    refuse("input image must have sides of 1.." + std::to_string(kLongestSide) + " pixels, found " + shape_text(image.shape) + ".");
  }
  return {static_cast<const uint8_t*>(image.data), image.size(1), rgb ? image.size(0) : image.size(0) / 3 * 2, layout_, full_range_};
}

std::unique_ptr<const ImageToTensor::Plan> ImageToTensor::take_plan(const ImageKernels& kernels, const Picture& p) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (plan_ && plan_->width == p.width && plan_->height == p.height) return std::move(plan_);
  }
  const bool portrait = p.width <= p.height;
  const size_t width = portrait ? size_ : p.width * size_ / p.height;
  const size_t height = portrait ? p.height * size_ / p.width : size_;
  if (crop_[0] > height || crop_[1] > width) {
    const auto text = [](size_t a, size_t b) { return shape_text({static_cast<int64_t>(a), static_cast<int64_t>(b)}); };
    refuse("attribute crop=" + text(crop_[0], crop_[1]) + " must fit into the resized picture " + text(height, width) + " (of " +
           text(p.height, p.width) + ", size=" + std::to_string(size_) + "); lower crop or raise size.");
  }
  return std::make_unique<const Plan>(*this, kernels, p, width, height);
}

void ImageToTensor::keep_plan(std::unique_ptr<const Plan> plan) {
  const std::lock_guard<std::mutex> lock(mutex_);
  plan_ = std::move(plan);
}

void ImageToTensor::compute(Ort::KernelContext& context) {
  const ImageKernels& kernels = image_kernels(kernels_in_use().isa);
  const Picture p = picture(required(context, 0, "image", layout_ == PixelLayout::kRgb ? "H,W,3" : "H*3/2,W"));
  std::unique_ptr<const Plan> plan = take_plan(kernels, p);
  const ResampleTaps &columns = plan->columns.taps, &rows = plan->rows.taps;
  const FloatOutput normalised(context, 0, {1, 3, static_cast<int64_t>(crop_[0]), static_cast<int64_t>(crop_[1])});
  float* const tensor = normalised.data();
  auto in_bands = [&](size_t begin, size_t end, size_t band, auto pass) {
    parallel(context, (end - begin + band - 1) / band, [&](size_t task, size_t worker) {
      const size_t from = begin + task * band;
      pass(from, std::min(from + band, end), plan->workers + worker * plan->worker_floats);
    });
  };
  constexpr size_t kBand = 8;

  in_bands(rows.begin, rows.end, kernels.rows, [&](size_t from, size_t to, float* worker) {
    kernels.horizontal(p, columns, plan->packed.data(), from, to, plan->resized, rows.begin, worker);
  });
  in_bands(0, crop_[0], kBand, [&](size_t from, size_t to, float* worker) {
    for (size_t y = from; y < to; ++y) kernels.vertical(plan->resized, rows, y, crop_[1], levels_.data(), tensor, worker);
  });
  keep_plan(std::move(plan));
}

}  // namespace coppice
