// Linear layers over packed weights, and what stands before and after them in a transformer block: contract of every body.
//
// y = x W + bias for W [depth, columns]. The weights lie in panels of 16 columns that every instruction set reads in place:
//   float32, float16: [ceil(columns / 16), depth, 16]
//   int8:             [ceil(columns / 16), ceil(depth / 4), 16, 4], values -127..127, times scale[column]
// with zeros for columns and depth that do not exist.
//
// An int8 layer quantises its input by row: lo = min(0, x), hi = max(0, x), unit = (hi - lo) / 254 (1 where that is below
// 2^-126), zero = round(-lo / unit) - 127, q = min(127, round(x / unit) + zero), to even; x / unit is float32(x * float32(1 / unit)).
// y = unit scale (sum of q w - zero * sum of w) + bias; its sums are int32, so every body finds the same. A row that holds NaN
// or an infinity, or whose range passes float32, becomes NaN. A layer with a range has that lo and hi for all rows, and clips x to it.
// float32 sums run over rising depth. NaN and infinity propagate. Rows of x and y must not overlap, but y may be residual.
#pragma once

#include <cstddef>
#include <cstdint>

namespace coppice {

enum class WeightType { kFloat, kHalf, kInt8 };
enum class Activation { kNone, kGelu, kGeluTanh };

// Columns of a panel of weights.
constexpr size_t kWeightPanel = 16;
// The greatest depth of an int8 layer: its sums stay in int32.
constexpr size_t kMaxInt8Depth = 1 << 16;

struct Linear {
  WeightType type;
  size_t depth, columns;
  const void* weight;         // panels
  const float* scale;         // [columns]; int8 only
  const int32_t* weight_sum;  // [columns], of a column's weights; int8 only
  const float* bias;          // [columns], or null
  // Of an int8 layer's input, low <= 0 <= high and (high - low) / 254 a normal number; both 0: each row has its own.
  float low = 0, high = 0;
};

struct LayerNorm {
  size_t width;
  const float* weight;  // [width]
  const float* bias;    // [width]
  float epsilon;
};

// Rows that lie `stride` floats apart.
struct Rows {
  float* first;
  size_t stride;
};
struct ConstRows {
  const float* first;
  size_t stride;
};

// y = activation(x W + bias) + residual.
struct LinearCall {
  ConstRows x;
  size_t rows;
  Activation activation;
  ConstRows residual;  // first may be null: none
  Rows y;
};

// One instruction set's bodies. gelu: x Phi(x), within 4 2^-24 |x|; gelu_tanh: its usual approximation by a tanh.
struct LinearKernels {
  const char* isa;
  size_t row_tile;  // rows that the registers hold at a time

  // y = weight (x - mean) / sqrt(variance + epsilon) + bias for each row.
  void (*layer_norm)(const LayerNorm&, ConstRows x, size_t rows, Rows y);
  // Floats of scratch that a call of `linear` takes.
  size_t (*scratch)(const Linear&, size_t rows);
  void (*linear)(const Linear&, const LinearCall&, float* scratch);
  // x[0..width) = silu(x[0..width)) * x[width..2 width) in each row.
  void (*swiglu)(Rows x, size_t rows, size_t width);
};

// The bodies for the instruction set of this name, or for the one that its name extends.
const LinearKernels& linear_kernels(const char* isa);

namespace scalar { extern const LinearKernels kLinearKernels; }
namespace avx2 { extern const LinearKernels kLinearKernels; }
namespace avx512 { extern const LinearKernels kLinearKernels; }
namespace avx512_vnni { extern const LinearKernels kLinearKernels; }
namespace neon { extern const LinearKernels kLinearKernels; }
namespace neon_dotprod { extern const LinearKernels kLinearKernels; }

}  // namespace coppice
