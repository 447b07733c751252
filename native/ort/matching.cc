#include "matching.h"

#include <algorithm>

namespace coppice {

void find_partners(Ort::KernelContext& context, OrtAllocator* allocator, const MergeKernels& kernels, const Match& match, size_t batch, size_t item,
                   float* similarity, uint32_t* partner) {
  const MergeScratch need = kernels.scratch(match);
  const size_t sources = match.sources.count, panels = need.panels * need.panel, tiles = (sources + kSourceTile - 1) / kSourceTile;
  const size_t workers = std::min(worker_limit(), batch * tiles);
  Scratch scratch(allocator, batch * panels + workers * need.worker);
  float* packed = scratch.take(batch * panels);
  float* worker_scratch = scratch.take(workers * need.worker);
  const auto at = [&](size_t b) {
    Match of_item = match;
    of_item.metric += b * item;
    return of_item;
  };
  parallel(context, batch * need.panels, [&](size_t task, size_t) {
    const size_t b = task / need.panels;
    kernels.pack_targets(at(b), task % need.panels, packed + b * panels);
  });
  parallel(context, batch * tiles, [&](size_t task, size_t worker) {
    const size_t b = task / tiles, begin = task % tiles * kSourceTile, end = std::min(begin + kSourceTile, sources);
    kernels.best_targets(at(b), begin, end, packed + b * panels, similarity + b * sources, partner + b * sources, worker_scratch + worker * need.worker);
  });
}

}  // namespace coppice
