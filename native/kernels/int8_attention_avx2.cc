// x86-64 with AVX2 and FMA: 8 lanes.
#include "int8_attention.h"
#include "linear.h"
#include "body/intrinsics.h"

namespace coppice::avx2 {
namespace {

#define COPPICE_LANES 8
#define COPPICE_UNSIGNED_INPUT 0
#include "body/vector.h"
#include "body/quantise.h"
#include "body/weights.h"
#include "body/linear_tile.h"
#include "body/product.h"
#include "body/int8_attention.h"

}  // namespace

extern const Int8AttentionKernels kInt8AttentionKernels = {"avx2", kRows, packed, scratch, pack_keys, pack_values, rows};

}  // namespace coppice::avx2
