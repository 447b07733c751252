// Softmax attention in bytes over the packed projection (attention.h): contract of every instruction set's body.
//
// Queries and keys are quantised by token and head, values by feature and head: unit = max |x| / 127 (1 where that is below 2^-126),
// q = round(x / unit) to even; x / unit is float32(x * float32(1 / unit)). A logit is scale unit_q unit_k (sum of q_q q_k) + key_weight.
// With e = 2^(logit log2 e - top), top that row's largest, a weight is p = round(255 e), and y = unit_v (sum of p q_v) / (sum of p).
// All sums of products are int32, so every body finds the same; e is within 2 ulp, so bodies may differ by one step of a weight that
// falls between two. Scores are of e, not of p. NaN or infinity in a token's query makes its row NaN, in a key the head, in a value the feature.
// A head is packed once, then its rows are computed in any order. Inputs and outputs must not overlap.
#pragma once

#include "attention.h"

namespace coppice {

// The greatest number of tokens, and of features of a head: the sums stay in int32.
constexpr size_t kMaxInt8Tokens = 1 << 16;

// One instruction set's bodies.
struct Int8AttentionKernels {
  const char* isa;
  size_t row_tile;  // query rows that one call of `rows` handles at most

  // Floats of one packed head, and of the scratch of one call of `rows`: multiples of 16, and fastest where they begin at one.
  size_t (*packed)(size_t tokens, size_t dim);
  size_t (*scratch)(size_t tokens, size_t dim);
  // The two halves of a packed head; they may run side by side.
  void (*pack_keys)(const Attention&, float scale, size_t head, float* packed);
  void (*pack_values)(const Attention&, size_t head, float* packed);
  // Query rows begin..end. class_row: [tokens], receives the weights of row `class_at` where the range holds it; may be null.
  // received: [tokens], the weights of all these rows are added to it; may be null.
  void (*rows)(const Attention&, size_t head, size_t row_begin, size_t row_end, const float* packed, size_t class_at, float* class_row, float* received,
               float* scratch);
};

// The bodies for the instruction set of this name, or for the one that its name extends.
const Int8AttentionKernels& int8_attention_kernels(const char* isa);

namespace scalar { extern const Int8AttentionKernels kInt8AttentionKernels; }
namespace avx2 { extern const Int8AttentionKernels kInt8AttentionKernels; }
namespace avx512 { extern const Int8AttentionKernels kInt8AttentionKernels; }
namespace avx512_vnni { extern const Int8AttentionKernels kInt8AttentionKernels; }
namespace neon { extern const Int8AttentionKernels kInt8AttentionKernels; }
namespace neon_dotprod { extern const Int8AttentionKernels kInt8AttentionKernels; }

}  // namespace coppice
