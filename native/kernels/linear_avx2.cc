// x86-64 with AVX2 and FMA: 8 lanes.
#include "linear.h"
#include "body/intrinsics.h"

namespace coppice::avx2 {
namespace {

#define COPPICE_LANES 8
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

extern const LinearKernels kLinearKernels = {"avx2", kLinearRows, layer_norm, scratch, linear, swiglu};

}  // namespace coppice::avx2
