// 64-bit ARM, ARMv8.0-A: 4 lanes.
#include "image.h"
#include "body/intrinsics.h"

#include <arm_neon.h>

namespace coppice::neon::image {
namespace {

#define COPPICE_LANES 4
#define COPPICE_ROW_VECTORS 2
#include "body/vector.h"
#include "body/image.h"

}  // namespace

extern const ImageKernels kKernels = {"neon",      kRows,      resized_rows, packed_columns, pack_columns,
                                     scratch, horizontal, vertical};

}  // namespace coppice::neon::image
