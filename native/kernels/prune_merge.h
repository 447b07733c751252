// Keeping the best patch tokens and merging the next best into them (DiffRate): what is decided around the comparisons of
// merge.h. One batch item, any processor.
#pragma once

#include "merge.h"

namespace coppice {

// How many of `gone` tokens merge: this share of them, a half rounded up. Requires 0 <= share <= 1.
size_t merged_count(float share, size_t gone);

// values[tokens]: the scores; those of patch tokens times the distance to the nearest of the tokens ranked before them,
// max(0, 1 - similarity), and 2 for the first. order[patches]: the patch tokens by rank; similarity[patches] belongs to it.
void weigh_by_distance(const float* scores, size_t tokens, size_t prefix, const int64_t* order, const float* similarity, float* values);

// The tokens that stay and those that merge into them; a partner is the number of a token that stays.
struct PruneMerge {
  size_t tokens, prefix;
  const int64_t* kept;  // [kept_count], ascending
  size_t kept_count;
  const int64_t* sources;  // [source_count], ascending
  size_t source_count;
  const float* similarity;  // [source_count]
  const uint32_t* partner;  // [source_count]
};

// The prefix and what is kept, each with the tokens that merge into it: plan.first and plan.next; no group.
void plan_prune_merge(const PruneMerge& merge, const MergePlan& plan);
// merged_size[prefix + kept_count]: each source adds its size times its similarity, nothing where that is not above 0.
// size null: 1 each.
void prune_merge_sizes(const PruneMerge& merge, const float* size, float* merged_size);

}  // namespace coppice
