// x86-64 with AVX-512 F, VL, DQ, BW and VNNI: 16 lanes, and sums of four products of bytes.
#include "linear.h"
#include "body/intrinsics.h"

namespace coppice::avx512_vnni {
namespace {

#define COPPICE_LANES 16
#define COPPICE_UNSIGNED_INPUT 1
#include "body/vector.h"
#include "body/layer_norm.h"
#include "body/activation.h"
#include "body/quantise.h"
#include "body/weights.h"
#include "body/linear_tile.h"
#include "body/product.h"
#include "body/linear.h"

}  // namespace

extern const LinearKernels kLinearKernels = {"avx512_vnni", kLinearRows, layer_norm, scratch, linear, swiglu};

}  // namespace coppice::avx512_vnni
