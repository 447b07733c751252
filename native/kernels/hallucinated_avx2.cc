// x86-64 with AVX2 and FMA: 8 lanes.
#include "hallucinated.h"
#include "body/intrinsics.h"

#include <cstdint>

namespace coppice::avx2::hallucinated {
namespace {

#define COPPICE_LANES 8
#define COPPICE_TILE_VECTORS 2
#include "body/vector.h"
#include "body/gemm.h"
#include "body/hallucinated.h"

}  // namespace

extern const HallucinationKernels kKernels = {"avx2", scratch, pack_head, rows};

}  // namespace coppice::avx2::hallucinated
