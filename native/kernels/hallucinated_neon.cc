// 64-bit ARM, ARMv8.0-A: 4 lanes.
#include "hallucinated.h"
#include "body/intrinsics.h"

#include <cstdint>

namespace coppice::neon::hallucinated {
namespace {

#define COPPICE_LANES 4
#include "body/vector.h"
#include "body/gemm.h"
#include "body/hallucinated.h"

}  // namespace

extern const HallucinationKernels kKernels = {"neon", scratch, pack_head, rows};

}  // namespace coppice::neon::hallucinated
