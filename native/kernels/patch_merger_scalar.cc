// Plain C++: one lane, no instructions beyond the base of the platform.
#include "patch_merger.h"
#include "body/intrinsics.h"

namespace coppice::scalar {
namespace {

#define COPPICE_LANES 1
#define COPPICE_TILE_VECTORS 2
#include "body/vector.h"
#include "body/gemm.h"
#include "body/layer_norm.h"
#include "body/patch_merger.h"

}  // namespace

extern const PatchMergerKernels kPatchMergerKernels = {"scalar", kLanes, scratch, pack_weights, token_logits, softmax_tokens, mix_tokens};

}  // namespace coppice::scalar
