// 64-bit ARM, ARMv8.0-A: 4 lanes.
#include "merge.h"
#include "body/intrinsics.h"

namespace coppice::neon {
namespace {

#define COPPICE_LANES 4
#include "body/vector.h"
#include "body/gemm.h"
#include "body/merge.h"

}  // namespace

extern const MergeKernels kMergeKernels = {"neon", scratch, pack_targets, best_targets, average_rows};

}  // namespace coppice::neon
