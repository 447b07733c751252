// What the adapters share that merge tokens by their similarity.
#pragma once

#include "../kernels/merge.h"
#include "operator.h"

namespace coppice {

// Rows of y one thread averages at a time.
constexpr size_t kAverageTile = 64;

// Similarity and partner [batch, sources] of the sources of every item, whose metrics lie `item` floats apart. Requires a target.
void find_partners(Ort::KernelContext& context, OrtAllocator* allocator, const MergeKernels& kernels, const Match& match, size_t batch, size_t item,
                   float* similarity, uint32_t* partner);

}  // namespace coppice
