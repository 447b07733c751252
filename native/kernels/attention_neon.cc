// 64-bit ARM, ARMv8.0-A: 4 lanes.
#include "attention.h"
#include "body/intrinsics.h"

namespace coppice::neon {
namespace {

#define COPPICE_LANES 4
// 64 tokens of 64 floats: keys, then values, beside the weights in a first-level cache of 32 to 64 KiB.
#define COPPICE_TOKEN_BLOCK 64
#include "body/vector.h"
#include "body/gemm.h"
#include "body/attention.h"
#include "body/half.h"

}  // namespace

extern const Kernels kKernels = {"neon",       kLanes,   scratch,         summarise,   linear_rows,  quadratic_rows,
                                 softmax_rows, received, class_attention, value_norms, cube_factors, widen,
                                 narrow};

}  // namespace coppice::neon
