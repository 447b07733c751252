// Plain C++: one lane, no instructions beyond the base of the platform.
#include "image.h"
#include "body/intrinsics.h"

namespace coppice::scalar::image {
namespace {

#define COPPICE_LANES 1
#define COPPICE_ROW_VECTORS 1
#include "body/vector.h"
#include "body/image.h"

}  // namespace

extern const ImageKernels kKernels = {"scalar",      kRows,      resized_rows, packed_columns, pack_columns,
                                     scratch, horizontal, vertical};

}  // namespace coppice::scalar::image
