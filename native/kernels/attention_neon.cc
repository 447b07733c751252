// 64-bit ARM, ARMv8.0-A: 4 lanes.
#include "attention.h"

namespace coppice::neon {
namespace {

#define COPPICE_LANES 4
#define COPPICE_TILE_VECTORS 4
#include "body/vector.h"
#include "body/gemm.h"
#include "body/attention.h"

}  // namespace

extern const Kernels kKernels = {"neon",           kLanes,       scratch,      summarise,    linear_rows,
                                 pack_keys,      quadratic_rows, softmax_rows, class_attention, value_norms};

}  // namespace coppice::neon
