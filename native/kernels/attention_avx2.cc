// x86-64 with AVX2 and FMA: 8 lanes.
#include "attention.h"

namespace coppice::avx2 {
namespace {

#define COPPICE_LANES 8
#define COPPICE_TILE_VECTORS 2
#include "body/vector.h"
#include "body/gemm.h"
#include "body/attention.h"

}  // namespace

extern const Kernels kKernels = {"avx2",           kLanes,       scratch,      summarise,    linear_rows,
                                 pack_keys,      quadratic_rows, softmax_rows, class_attention, value_norms};

}  // namespace coppice::avx2
