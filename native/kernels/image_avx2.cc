// x86-64 with AVX2 and FMA: 8 lanes.
#include "image.h"
#include "body/intrinsics.h"

#include <immintrin.h>

namespace coppice::avx2::image {
namespace {

#define COPPICE_LANES 8
#define COPPICE_ROW_VECTORS 1
#include "body/vector.h"
#include "body/image.h"

}  // namespace

extern const ImageKernels kKernels = {"avx2",      kRows,      resized_rows, packed_columns, pack_columns,
                                     scratch, horizontal, vertical};

}  // namespace coppice::avx2::image
