// Pictures to a model's input: contract of every instruction set's body.
//
// The result is Pillow's, to the bit: weights are integers of 22 fraction bits, a horizontal, then a vertical pass each round
// to 8 bits (half up) and clip. Integer sums are exact, so every body gives the same bytes; the float of each of the 256
// levels comes from a table. Only the pixels of the crop are computed, from only the rows and columns they need.
#pragma once

#include <cstddef>
#include <cstdint>

namespace coppice {

enum class Filter { kBicubic, kBilinear, kNearest };
enum class PixelLayout { kRgb, kNv12 };

constexpr int kWeightBits = 22;

// Output pixel i is the sum of `count[i]` input pixels from `first[i]` on, times weights[i * stride + 0, 1, ...].
struct ResampleTaps {
  size_t outputs, stride;
  const uint32_t *first, *count;
  const int32_t* weights;
  size_t begin, end;  // the input pixels that any output needs
};

// The most taps that one output has when `from` pixels become `to`.
size_t resample_stride(Filter filter, size_t from, size_t to);
// Outputs begin..end of `to` made from `from` pixels. first, count: [end - begin], weights: [end - begin, stride];
// exact: scratch [stride].
ResampleTaps resample_taps(Filter filter, size_t from, size_t to, size_t begin, size_t end, uint32_t* first, uint32_t* count, int32_t* weights,
                           double* exact);

struct Picture {
  const uint8_t* pixels;  // rgb: [height, width, 3]; nv12: [height, width] of Y, then [height / 2, width / 2, 2] of U and V
  size_t width, height;
  PixelLayout layout;
  bool full_range;  // nv12: Y, U and V of 0..255 (JPEG) instead of 16..235 and 16..240 (video)
};

// Resized rows are planar: red, green, blue, each `plane` bytes long, `row` bytes from one picture row to the next.
struct ResizedRows {
  uint8_t* bytes;
  size_t plane, row;
};

// One instruction set's bodies.
struct ImageKernels {
  const char* isa;
  size_t rows;  // picture rows that one call of horizontal takes at most

  // plane and row for `width` outputs a row.
  ResizedRows (*resized_rows)(uint8_t* bytes, size_t width);
  // The column taps' weights as horizontal reads them: their number of values, and the values.
  size_t (*packed_columns)(const ResampleTaps& columns);
  void (*pack_columns)(const ResampleTaps& columns, int32_t* packed);
  // Bytes of scratch private to one call of a pass.
  size_t (*scratch)(const Picture&, const ResampleTaps& columns);
  // Picture rows row_begin..row_end through the column taps, into rows row_begin - out_begin.. of `out`.
  void (*horizontal)(const Picture&, const ResampleTaps& columns, const int32_t* packed, size_t row_begin, size_t row_end,
                     const ResizedRows& out, size_t out_begin, void* worker);
  // Row y of the row taps from resized rows (the first of them is picture row rows.begin): tensor[3, outputs of rows,
  // width] = levels[channel * 256 + byte].
  void (*vertical)(const ResizedRows&, const ResampleTaps& rows, size_t y, size_t width, const float* levels, float* tensor, void* worker);
};

// The bodies for the instruction set with this name, or for the one it extends ("neon_fp16" extends "neon").
const ImageKernels& image_kernels(const char* isa);

namespace scalar::image { extern const ImageKernels kKernels; }
namespace avx2::image { extern const ImageKernels kKernels; }
namespace avx512::image { extern const ImageKernels kKernels; }
namespace neon::image { extern const ImageKernels kKernels; }

}  // namespace coppice
