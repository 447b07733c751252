// Plain C++: one lane, no instructions beyond the base of the platform.
#include "int8_attention.h"
#include "linear.h"
#include "body/intrinsics.h"

namespace coppice::scalar {
namespace {

#define COPPICE_LANES 1
#define COPPICE_UNSIGNED_INPUT 0
#include "body/vector.h"
#include "body/half.h"
#include "body/quantise.h"
#include "body/weights.h"
#include "body/linear_tile.h"
#include "body/product.h"
#include "body/int8_attention.h"

}  // namespace

extern const Int8AttentionKernels kInt8AttentionKernels = {"scalar", kRows, packed, scratch, pack_keys, pack_values, rows};

}  // namespace coppice::scalar
