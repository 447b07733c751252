// Attention kernels over the packed projection: contract of every instruction set's body.
//
// qkv is one batch item, row-major [tokens, 3 * heads * dim]; a row holds q, k and v one after the other, each head-major.
// Formulas: docs/reference/operators.md. All sums are float32; within a row they run over rising token or feature
// numbers, in vectors of `lanes`. NaN and infinity propagate. Inputs and outputs must not overlap.
// A kernel handles one head (and a range of rows or features), so that a caller can spread heads over threads.
#pragma once

#include <cstddef>
#include <cstdint>

namespace coppice {

enum class FeatureMap { kRelu, kElu1 };
enum class Normalize { kNone, kSqrtD, kRowSum };

struct Attention {
  const float* qkv;
  size_t tokens;
  size_t heads;
  size_t dim;
  size_t rows;                 // query rows: tokens, or the length of query_index
  const int64_t* query_index;  // [rows], each 0..tokens-1; null: row i is token i
  const float* key_weight;     // [tokens] factor of each key's weight (linear) or addend of its logit (softmax); null: none
  const float* cosine;         // [tokens] cos and sin of pi p / (2 length) at the token's position p; null: no reweighting
  const float* sine;
  float* y;  // [rows, heads * dim]
};

struct LinearForm {
  FeatureMap feature_map;
  Normalize normalize;
  float eps;
  bool add_eps;  // true: sum + eps, false: max(sum, eps)
};

// Sizes of scratch in floats. A buffer needs no alignment beyond that of float.
struct AttentionScratch {
  size_t summary;      // shared, one head: key-value summary and key sum of the linear order
  size_t packed_keys;  // shared, one head: keys (and values, where dim is no multiple of the lanes) in panels
  size_t worker;       // private to one call of summarise, linear_rows, quadratic_rows or softmax_rows
};

// One instruction set's bodies.
struct Kernels {
  const char* isa;
  size_t lanes;

  AttentionScratch (*scratch)(size_t tokens, size_t dim, bool reweighted);

  // Linear order, first half: features feature_begin..feature_end of sum_j phi(k_j) [v_j, 1]^T.
  // Features number dim, or 2 * dim when reweighted (cosine part, then sine part).
  void (*summarise)(const Attention&, const LinearForm&, size_t head, size_t feature_begin, size_t feature_end,
                    float* summary, float* worker);
  // Linear order, second half: query rows row_begin..row_end from a complete summary.
  void (*linear_rows)(const Attention&, const LinearForm&, size_t head, size_t row_begin, size_t row_end,
                      const float* summary, float* worker);

  // Quadratic order and softmax: pack a head's keys once (phi of them when `form` is given), then any rows.
  void (*pack_keys)(const Attention&, const LinearForm* form, size_t head, float* packed_keys);
  void (*quadratic_rows)(const Attention&, const LinearForm&, size_t head, size_t row_begin, size_t row_end,
                         const float* packed_keys, float* worker);
  // softmax(scale q k^T + key_weight) v. class_row: [tokens], receives token 0's attention if the range holds it; or null.
  void (*softmax_rows)(const Attention&, float scale, size_t head, size_t row_begin, size_t row_end,
                       const float* packed_keys, float* class_row, float* worker);

  // One head's attention between token 0 and all tokens: softmax over j of scale q_0 k_j (by_column: q_j k_0) + key_weight_j.
  void (*class_attention)(const Attention&, float scale, size_t head, bool by_column, float* out);
  // out[j] = L2 norm of token j's values over all heads.
  void (*value_norms)(const Attention&, float* out);
};

// Query rows a worker handles in one call of *_rows at most; bounds the private scratch to this many rows of weights.
constexpr size_t kRowTile = 48;
// Features one call of summarise handles at most.
constexpr size_t kFeatureTile = 32;

namespace scalar { extern const Kernels kKernels; }
namespace avx2 { extern const Kernels kKernels; }
namespace avx512 { extern const Kernels kKernels; }
namespace neon { extern const Kernels kKernels; }

}  // namespace coppice
