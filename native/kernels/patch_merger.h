// Soft merging of all tokens into a fixed number (PatchMerger): contract of every instruction set's body. One batch item.
//
// t = layer norm of x, or x. logit[n, m] = scale t_n . w_m; weight = softmax of the logits over the tokens (or over the
// outputs); y_m = sum over n of weight[n, m] t_n. All sums are float32 over rising numbers, the layer norm's in vectors of the
// instruction set. NaN and infinity propagate. Inputs and outputs must not overlap.
#pragma once

#include <cstddef>
#include <cstdint>

namespace coppice {

struct PatchMerge {
  const float* x;  // [tokens, width]
  size_t tokens;   // at least 1
  size_t width;
  const float* w;  // [width, outputs]
  size_t outputs;
  float scale;
  bool over_outputs;  // softmax over the outputs of a token, not over the tokens of an output
  bool layer_norm;
  const float* gamma;  // [width] or null: 1
  const float* beta;   // [width] or null: 0
  float eps;
  float* y;  // [outputs, width]
};

// Sizes of scratch in floats. A buffer needs no alignment beyond that of float.
struct PatchMergerScratch {
  size_t packed;   // the weights w, scaled, in rows of whole vectors; they depend on nothing else
  size_t rows;     // the tokens t, where x itself cannot serve
  size_t weights;  // logits, then softmax weights
  size_t columns;  // columns of `weights`, a multiple of `lanes`: outputs and padding. row_scale has as many
};

// One instruction set's bodies, in the order of their calls; each may be spread over threads by its range.
struct PatchMergerKernels {
  const char* isa;
  size_t lanes;

  PatchMergerScratch (*scratch)(const PatchMerge&);
  void (*pack_weights)(const PatchMerge&, float* packed);
  // rows and weights of tokens token_begin..token_end.
  void (*token_logits)(const PatchMerge&, size_t token_begin, size_t token_end, const float* packed, float* rows, float* weights);
  // Softmax over the tokens (nothing to do otherwise) of columns begin..end, both multiples of `lanes`: e^(x - max), 1 / sum in row_scale.
  void (*softmax_tokens)(const PatchMerge&, size_t column_begin, size_t column_end, float* weights, float* row_scale);
  // Features begin..end of y.
  void (*mix_tokens)(const PatchMerge&, size_t begin, size_t end, const float* rows, const float* weights, const float* row_scale);
};

// The bodies for the instruction set of this name, or for the one that its name extends.
const PatchMergerKernels& patch_merger_kernels(const char* isa);

// Tokens that share a call of token_logits, and features that share one of mix_tokens (a multiple of every panel).
constexpr size_t kTokenTile = 48;
constexpr size_t kMixTile = 64;

namespace scalar { extern const PatchMergerKernels kPatchMergerKernels; }
namespace avx2 { extern const PatchMergerKernels kPatchMergerKernels; }
namespace avx512 { extern const PatchMergerKernels kPatchMergerKernels; }
namespace neon { extern const PatchMergerKernels kPatchMergerKernels; }

}  // namespace coppice
