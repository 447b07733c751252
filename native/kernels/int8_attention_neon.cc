// 64-bit ARM, ARMv8.0-A: 4 lanes.
#include "int8_attention.h"
#include "linear.h"
#include "body/intrinsics.h"

namespace coppice::neon {
namespace {

#define COPPICE_LANES 4
#define COPPICE_UNSIGNED_INPUT 0
#include "body/vector.h"
#include "body/quantise.h"
#include "body/weights.h"
#include "body/linear_tile.h"
#include "body/product.h"
#include "body/int8_attention.h"

}  // namespace

extern const Int8AttentionKernels kInt8AttentionKernels = {"neon", kRows, packed, scratch, pack_keys, pack_values, rows};

}  // namespace coppice::neon
