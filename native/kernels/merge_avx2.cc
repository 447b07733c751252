// x86-64 with AVX2 and FMA: 8 lanes.
#include "merge.h"
#include "body/intrinsics.h"

namespace coppice::avx2 {
namespace {

#define COPPICE_LANES 8
#define COPPICE_TILE_VECTORS 2
#include "body/vector.h"
#include "body/gemm.h"
#include "body/merge.h"

}  // namespace

extern const MergeKernels kMergeKernels = {"avx2", scratch, pack_targets, best_targets, average_rows};

}  // namespace coppice::avx2
