// Attention whose maps are partly computed, partly made from the computed ones (hMHSA): contract of every body.
//
// qkv is one batch item, row-major [tokens, (2 * real + heads) * dim], heads = real + hallucinated: q of the real heads,
// k of the real heads, v of all heads (the real ones first), each head-major. Formulas: docs/reference/operators.md.
// All sums are float32; NaN and infinity propagate. Inputs and outputs must not overlap.
// A call handles all heads of a range of rows: the maps of one block of rows (and the rows beside it, where the
// convolution reaches over its border) are in memory, never a whole map.
#pragma once

#include <cstddef>

namespace coppice {

enum class Renorm { kNone, kRowSum, kLayerNorm };

struct Hallucination {
  const float* qkv;
  size_t tokens, real, hallucinated, dim;
  const float* mix;     // [hallucinated, real]; null: no sum over the real maps
  const float* dw;      // [hallucinated, dw_kernel, dw_kernel]; null: no convolution
  size_t dw_kernel;     // 1 or 3
  bool before_softmax;  // the made maps are combinations of logits, not of weights
  Renorm renorm;        // kRowSum only after the softmax
  float eps;            // guards the row sum (clamp) or the variance (addend)
  float* y;             // [tokens, heads * dim]
};

// Sizes of scratch in floats. A buffer needs no alignment beyond that of float.
struct HallucinationScratch {
  size_t packed;  // shared, one batch item: keys in panels (and values, where dim is no multiple of the lanes)
  size_t worker;  // private to one call of rows: O(rows of a block * tokens * maps)
};

// One instruction set's bodies.
struct HallucinationKernels {
  const char* isa;
  HallucinationScratch (*scratch)(const Hallucination&);
  // Packs head 0..heads-1; every head, before any rows.
  void (*pack_head)(const Hallucination&, size_t head, float* packed);
  // y of rows row_begin..row_end of all heads, from complete packed heads.
  void (*rows)(const Hallucination&, size_t row_begin, size_t row_end, const float* packed, float* worker);
};

// Rows of one call that fill its blocks: with the two rows beside them 48, a multiple of the matrix product's 6.
constexpr size_t kHallucinatedRows = 46;

// The bodies for the instruction set with this name, or for the one it extends ("neon_fp16" extends "neon").
const HallucinationKernels& hallucination_kernels(const char* isa);

namespace scalar::hallucinated { extern const HallucinationKernels kKernels; }
namespace avx2::hallucinated { extern const HallucinationKernels kKernels; }
namespace avx512::hallucinated { extern const HallucinationKernels kKernels; }
namespace neon::hallucinated { extern const HallucinationKernels kKernels; }

}  // namespace coppice
