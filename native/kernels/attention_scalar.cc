// Plain C++: one lane, no instructions beyond the base of the platform.
#include "attention.h"
#include "body/intrinsics.h"

namespace coppice::scalar {
namespace {

#define COPPICE_LANES 1
#define COPPICE_TILE_VECTORS 2
#define COPPICE_TOKEN_BLOCK 64
#include "body/vector.h"
#include "body/gemm.h"
#include "body/attention.h"
#include "body/half.h"

}  // namespace

extern const Kernels kKernels = {"scalar",       kLanes,   scratch,         summarise,   linear_rows,  quadratic_rows,
                                 softmax_rows, received, class_attention, value_norms, cube_factors, widen,
                                 narrow};

}  // namespace coppice::scalar
