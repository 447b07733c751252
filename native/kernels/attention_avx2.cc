// x86-64 with AVX2 and FMA: 8 lanes.
#include "attention.h"
#include "body/intrinsics.h"

namespace coppice::avx2 {
namespace {

#define COPPICE_LANES 8
#define COPPICE_TILE_VECTORS 2
// 128 tokens: 1.05 times 64 on Zen 4 (1 MiB of second-level cache), 1,025 tokens, softmax, 2026-11-21.
#define COPPICE_TOKEN_BLOCK 128
#include "body/vector.h"
#include "body/gemm.h"
#include "body/attention.h"
#include "body/half.h"

}  // namespace

extern const Kernels kKernels = {"avx2",       kLanes,   scratch,         summarise,   linear_rows,  quadratic_rows,
                                 softmax_rows, received, class_attention, value_norms, cube_factors, widen,
                                 narrow};

}  // namespace coppice::avx2
