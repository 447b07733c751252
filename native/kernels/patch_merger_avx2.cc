// x86-64 with AVX2 and FMA: 8 lanes.
#include "patch_merger.h"
#include "body/intrinsics.h"

namespace coppice::avx2 {
namespace {

#define COPPICE_LANES 8
#define COPPICE_TILE_VECTORS 2
#include "body/vector.h"
#include "body/gemm.h"
#include "body/layer_norm.h"
#include "body/patch_merger.h"

}  // namespace

extern const PatchMergerKernels kPatchMergerKernels = {"avx2", kLanes, scratch, pack_weights, token_logits, softmax_tokens, mix_tokens};

}  // namespace coppice::avx2
