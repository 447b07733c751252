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

enum class FeatureMap { kRelu, kElu1, kReluPow3 };
enum class Normalize { kNone, kSqrtD, kRowSum };

struct Attention {
  const float* qkv;
  size_t tokens;
  size_t heads;
  size_t dim;
  size_t rows;                 // query rows: tokens, or the length of query_index
  const int64_t* query_index;  // [rows], each 0..tokens-1; null: row i is token i
  const float* key_weight;     // [tokens] factor of each key's weight (linear) or addend of its logit (softmax); null: none
  float* y;                    // [rows, heads * dim]
};

// How positions reweight a pair: by the sum over waves of query[wave][i] key[wave][j]. No waves: by 1.
struct Waves {
  size_t count;
  const float* query;  // [count, tokens]
  const float* key;    // [count, tokens]
};

struct LinearForm {
  FeatureMap feature_map;
  Normalize normalize;
  float eps;
  bool add_eps;               // true: sum + eps, false: max(sum, eps)
  Waves waves;
  const float* query_weight;  // [tokens] factor of each query's weights; null: none
};

// Sizes of scratch in floats. A buffer needs no alignment beyond that of float.
struct AttentionScratch {
  size_t summary;  // shared, one head: key-value summary and key sum of the linear order
  size_t worker;   // private to one call
};

// A row's softmax: its weights are 2^(logit log2 e - shift) / sum.
struct RowStatistics {
  float* shift;  // [rows]
  float* sum;    // [rows]
};

// One instruction set's bodies.
struct Kernels {
  const char* isa;
  size_t lanes;

  AttentionScratch (*scratch)(size_t dim, size_t waves);

  // Linear order, first half: features begin..end of sum_j phi(k_j) [v_j, 1]^T, in every wave.
  void (*summarise)(const Attention&, const LinearForm&, size_t head, size_t feature_begin, size_t feature_end,
                    float* summary, float* worker);
  // Linear order, second half: query rows begin..end from a complete summary.
  void (*linear_rows)(const Attention&, const LinearForm&, size_t head, size_t row_begin, size_t row_end,
                      const float* summary, float* worker);
  // Quadratic order: query rows begin..end.
  void (*quadratic_rows)(const Attention&, const LinearForm&, size_t head, size_t row_begin, size_t row_end, float* worker);

  // softmax(scale q k^T + key_weight) v for query rows begin..end. class_row: [tokens], receives token 0's attention if the
  // range holds it, so that no two calls may share it where token 0 has several rows; may be null. statistics: this head's, for `received`; its pointers may be null.
  void (*softmax_rows)(const Attention&, float scale, size_t head, size_t row_begin, size_t row_end, float* class_row,
                       const RowStatistics& statistics, float* worker);
  // out[j] += the attention that keys begin..end get from all rows, out: [tokens].
  void (*received)(const Attention&, float scale, size_t head, size_t key_begin, size_t key_end, const RowStatistics& statistics,
                   float* out, float* worker);

  // One head's attention between token 0 and all tokens: softmax over j of scale q_0 k_j (by_column: q_j k_0) + key_weight_j.
  void (*class_attention)(const Attention&, float scale, size_t head, bool by_column, float* out);
  // out[j] = L2 norm of token j's values over all heads.
  void (*value_norms)(const Attention&, float* out);
  // out[j] = |relu(x)| / |relu(x)^3| of token j's queries (keys: of its keys) over all heads; 0 where nothing is positive.
  void (*cube_factors)(const Attention&, bool keys, float* out);

  // IEEE 754 binary16 to float and back; to half rounds to nearest, ties to even. NaN stays NaN.
  void (*widen)(const uint16_t* half, size_t n, float* out);
  void (*narrow)(const float* x, size_t n, uint16_t* half);
};

// Query rows a worker handles in one call of *_rows at most, and keys in one call of `received`.
constexpr size_t kRowTile = 64;
// Features one call of summarise handles at most: eight tiles of six rows or six of eight, and 16 are
// left of a head of 64.
constexpr size_t kFeatureTile = 48;

namespace scalar { extern const Kernels kKernels; }
namespace avx2 { extern const Kernels kKernels; }
namespace avx512 { extern const Kernels kKernels; }
namespace neon { extern const Kernels kKernels; }

}  // namespace coppice
