// x86-64 with AVX-512 F, VL, DQ and BW: 16 lanes.
#include "linear.h"
#include "body/intrinsics.h"

namespace coppice::avx512 {
namespace {

#define COPPICE_LANES 16
#define COPPICE_UNSIGNED_INPUT 0
#include "body/vector.h"
#include "body/layer_norm.h"
#include "body/activation.h"
#include "body/quantise.h"
#include "body/weights.h"
#include "body/linear_tile.h"
#include "body/product.h"
#include "body/linear.h"

}  // namespace

extern const LinearKernels kLinearKernels = {"avx512", kLinearRows, layer_norm, scratch, linear, swiglu};

}  // namespace coppice::avx512
