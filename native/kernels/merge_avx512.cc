// x86-64 with AVX-512 F, VL, DQ and BW: 16 lanes.
#include "merge.h"
#include "body/intrinsics.h"

namespace coppice::avx512 {
namespace {

#define COPPICE_LANES 16
#define COPPICE_TILE_VECTORS 4
#include "body/vector.h"
#include "body/gemm.h"
#include "body/merge.h"

}  // namespace

extern const MergeKernels kMergeKernels = {"avx512", scratch, pack_targets, best_targets, average_rows};

}  // namespace coppice::avx512
