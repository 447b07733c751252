// Plain C++: one lane, no instructions beyond the base of the platform.
#include "hallucinated.h"
#include "body/intrinsics.h"

#include <cstdint>

namespace coppice::scalar::hallucinated {
namespace {

#define COPPICE_LANES 1
#define COPPICE_TILE_VECTORS 2
#include "body/vector.h"
#include "body/gemm.h"
#include "body/hallucinated.h"

}  // namespace

extern const HallucinationKernels kKernels = {"scalar", scratch, pack_head, rows};

}  // namespace coppice::scalar::hallucinated
