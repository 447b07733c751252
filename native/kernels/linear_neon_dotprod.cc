// 64-bit ARM with sums of four products of bytes (FEAT_DotProd): 4 lanes.
#include "linear.h"
#include "body/intrinsics.h"

namespace coppice::neon_dotprod {
namespace {

#define COPPICE_LANES 4
#define COPPICE_UNSIGNED_INPUT 0
#include "body/vector.h"
#include "body/half.h"
#include "body/layer_norm.h"
#include "body/activation.h"
#include "body/quantise.h"
#include "body/weights.h"
#include "body/linear_tile.h"
#include "body/product.h"
#include "body/linear.h"

}  // namespace

extern const LinearKernels kLinearKernels = {"neon_dotprod", kLinearRows, layer_norm, scratch, linear, swiglu};

}  // namespace coppice::neon_dotprod
