// x86-64 with AVX-512 F, VL, DQ and BW: 16 lanes.
#include "attention.h"

namespace coppice::avx512 {
namespace {

#define COPPICE_LANES 16
#define COPPICE_TILE_VECTORS 4
#include "body/vector.h"
#include "body/gemm.h"
#include "body/attention.h"

}  // namespace

extern const Kernels kKernels = {"avx512",           kLanes,       scratch,      summarise,    linear_rows,
                                 pack_keys,      quadratic_rows, softmax_rows, class_attention, value_norms};

}  // namespace coppice::avx512
