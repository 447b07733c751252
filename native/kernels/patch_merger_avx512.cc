// x86-64 with AVX-512 F, VL, DQ and BW: 16 lanes.
#include "patch_merger.h"
#include "body/intrinsics.h"

namespace coppice::avx512 {
namespace {

#define COPPICE_LANES 16
#define COPPICE_TILE_VECTORS 4
#include "body/vector.h"
#include "body/gemm.h"
#include "body/layer_norm.h"
#include "body/patch_merger.h"

}  // namespace

extern const PatchMergerKernels kPatchMergerKernels = {"avx512", kLanes, scratch, pack_weights, token_logits, softmax_tokens, mix_tokens};

}  // namespace coppice::avx512
