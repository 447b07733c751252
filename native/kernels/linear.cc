#include "linear.h"

#include "table_for.h"

namespace coppice {

const LinearKernels& linear_kernels(const char* isa) {
#if defined(__x86_64__)
  return table_for(isa, {&scalar::kLinearKernels, &avx2::kLinearKernels, &avx512::kLinearKernels, &avx512_vnni::kLinearKernels});
#else
  return table_for(isa, {&scalar::kLinearKernels, &neon::kLinearKernels, &neon_dotprod::kLinearKernels});
#endif
}

}  // namespace coppice
