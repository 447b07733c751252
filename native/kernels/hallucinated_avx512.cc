// x86-64 with AVX-512 F, VL, DQ and BW: 16 lanes.
#include "hallucinated.h"
#include "body/intrinsics.h"

#include <cstdint>

namespace coppice::avx512::hallucinated {
namespace {

#define COPPICE_LANES 16
#define COPPICE_TILE_VECTORS 4
#include "body/vector.h"
#include "body/gemm.h"
#include "body/hallucinated.h"

}  // namespace

extern const HallucinationKernels kKernels = {"avx512", scratch, pack_head, rows};

}  // namespace coppice::avx512::hallucinated
