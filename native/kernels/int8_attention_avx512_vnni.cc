// x86-64 with AVX-512 F, VL, DQ, BW and VNNI: 16 lanes, and sums of four products of bytes.
#include "int8_attention.h"
#include "linear.h"
#include "body/intrinsics.h"

namespace coppice::avx512_vnni {
namespace {

#define COPPICE_LANES 16
#define COPPICE_UNSIGNED_INPUT 1
#include "body/vector.h"
#include "body/quantise.h"
#include "body/weights.h"
#include "body/linear_tile.h"
#include "body/product.h"
#include "body/int8_attention.h"

}  // namespace

extern const Int8AttentionKernels kInt8AttentionKernels = {"avx512_vnni", kRows, packed, scratch, pack_keys, pack_values, rows};

}  // namespace coppice::avx512_vnni
