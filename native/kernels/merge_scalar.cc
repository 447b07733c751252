// Plain C++: one lane, no instructions beyond the base of the platform.
#include "merge.h"
#include "body/intrinsics.h"

namespace coppice::scalar {
namespace {

#define COPPICE_LANES 1
#define COPPICE_TILE_VECTORS 2
#include "body/vector.h"
#include "body/gemm.h"
#include "body/merge.h"

}  // namespace

extern const MergeKernels kMergeKernels = {"scalar", scratch, pack_targets, best_targets, average_rows};

}  // namespace coppice::scalar
