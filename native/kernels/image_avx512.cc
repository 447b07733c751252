// x86-64 with AVX-512 F, VL, DQ and BW: 16 lanes.
#include "image.h"
#include "body/intrinsics.h"

#include <immintrin.h>

namespace coppice::avx512::image {
namespace {

#define COPPICE_LANES 16
#define COPPICE_ROW_VECTORS 1
#include "body/vector.h"
#include "body/image.h"

}  // namespace

extern const ImageKernels kKernels = {"avx512",      kRows,      resized_rows, packed_columns, pack_columns,
                                     scratch, horizontal, vertical};

}  // namespace coppice::avx512::image
