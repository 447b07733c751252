// 64-bit ARM, ARMv8.0-A: 4 lanes.
#include "patch_merger.h"
#include "body/intrinsics.h"

namespace coppice::neon {
namespace {

#define COPPICE_LANES 4
#include "body/vector.h"
#include "body/gemm.h"
#include "body/layer_norm.h"
#include "body/patch_merger.h"

}  // namespace

extern const PatchMergerKernels kPatchMergerKernels = {"neon", kLanes, scratch, pack_weights, token_logits, softmax_tokens, mix_tokens};

}  // namespace coppice::neon
