// Plain C++: one lane, no instructions beyond the base of the platform.
#include "attention.h"

namespace coppice::scalar {
namespace {

#define COPPICE_LANES 1
#define COPPICE_TILE_VECTORS 2
#include "body/vector.h"
#include "body/gemm.h"
#include "body/attention.h"

}  // namespace

extern const Kernels kKernels = {"scalar",           kLanes,       scratch,      summarise,    linear_rows,
                                 pack_keys,      quadratic_rows, softmax_rows, class_attention, value_norms};

}  // namespace coppice::scalar
