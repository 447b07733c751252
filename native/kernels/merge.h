// Merging of similar tokens (ToMe, LTMP, DiffRate): contract of every instruction set's body. One batch item.
//
// The similarity of two tokens is the cosine of their metrics, 0 where one is the zero vector. Products are float32 sums over
// rising features. A source's partner is its most similar target: of equal ones the lowest; NaN never wins, and a source that
// has only NaN, or no target, has similarity NaN and the first target as partner. Equal metrics give equal similarities.
#pragma once

#include <cstddef>
#include <cstdint>

namespace coppice {

// Tokens first, first + step, ..., numbered from 0.
struct Places {
  size_t first, step, count;
};

struct Match {
  const float* metric;  // token t's metric: the sum of `parts` vectors of dim floats in a row, from metric + t * metric_row on
  size_t metric_row;
  size_t parts;
  size_t dim;
  Places sources;
  Places targets;  // below 2^24
  bool earlier;    // source s meets only the targets of numbers below s
};

// Bipartite: from `prefix` on, even tokens are sources and odd tokens are targets; the prefix is neither.
struct Merge {
  const float* metric;  // as in Match
  size_t metric_row;
  size_t parts;
  size_t dim;
  size_t tokens;  // below 2^25
  size_t prefix;  // at most tokens

  size_t sources() const;
  size_t targets() const;
  size_t source_token(size_t source) const;
  size_t target_token(size_t target) const;
  Match match() const;
};

// Sizes of scratch in floats. A buffer needs no alignment beyond that of float.
struct MergeScratch {
  size_t panels;  // panels of the targets' unit vectors
  size_t panel;   // floats in one of them
  size_t worker;  // private to one call of best_targets
};

// Which tokens make which row of the result. `first` starts a row's chain: the token that stays, then by `next` the
// sources merged into it, ascending.
struct MergePlan {
  uint32_t* first;  // [tokens], by row
  uint32_t* next;   // [tokens], by token; kNoToken ends a chain
  int64_t* group;   // [tokens], by token: its row
};
constexpr uint32_t kNoToken = 0xffffffff;

// tome: prefix, sources left over, targets, each ascending (and the tokens as they came where none merges); raster: as they came.
enum class MergeOrder { kTome, kRaster };

// Sources that best_targets handles in one call at most; bounds the private scratch.
constexpr size_t kSourceTile = 24;

// One instruction set's bodies.
struct MergeKernels {
  const char* isa;

  MergeScratch (*scratch)(const Match&);
  // Unit vectors of the targets of one panel.
  void (*pack_targets)(const Match&, size_t panel, float* panels);
  // similarity[s] and partner[s] (a target number) of sources source_begin..source_end. Requires at least one target.
  void (*best_targets)(const Match&, size_t source_begin, size_t source_end, const float* panels, float* similarity, uint32_t* partner,
                       float* worker);
  // Rows row_begin..row_end of y[rows, width] and merged_size[rows]: the size-weighted mean of each chain, added up along it,
  // and its total size. size null: 1 each. A total of 0 makes it the plain mean. A row of one token is copied.
  void (*average_rows)(const MergePlan&, const float* x, size_t width, const float* size, size_t row_begin, size_t row_end, float* y,
                       float* merged_size);
};

// The bodies for the instruction set of this name, or for the one that its name extends.
const MergeKernels& merge_kernels(const char* isa);

// How many sources merge at most: half of the patch tokens, rounded down.
size_t most_merges(const Merge& merge);
// The number of similarities above the threshold; NaN is not.
size_t count_similar(const float* similarity, size_t sources, float threshold);
// Merges the `count` sources of highest similarity into their partners; equal ones: the lower first; NaN last. Returns the rows
// of the result, tokens - count. merged: scratch [count]; order: scratch [sources]. Requires count <= most_merges.
size_t plan_merge(const Merge& merge, const float* similarity, const uint32_t* partner, size_t count, MergeOrder row_order, int64_t* merged,
                  uint32_t* order, const MergePlan& plan);

namespace scalar { extern const MergeKernels kMergeKernels; }
namespace avx2 { extern const MergeKernels kMergeKernels; }
namespace avx512 { extern const MergeKernels kMergeKernels; }
namespace neon { extern const MergeKernels kMergeKernels; }

}  // namespace coppice
