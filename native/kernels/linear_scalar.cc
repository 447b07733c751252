// Plain C++: one lane, no instructions beyond the base of the platform.
#include "linear.h"
#include "body/intrinsics.h"

namespace coppice::scalar {
namespace {

#define COPPICE_LANES 1
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

extern const LinearKernels kLinearKernels = {"scalar", kLinearRows, layer_norm, scratch, linear, swiglu};

}  // namespace coppice::scalar
