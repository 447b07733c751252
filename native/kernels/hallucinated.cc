#include "hallucinated.h"

#include "table_for.h"

namespace coppice {

const HallucinationKernels& hallucination_kernels(const char* isa) {
#if defined(__x86_64__)
  return table_for(isa, {&scalar::hallucinated::kKernels, &avx2::hallucinated::kKernels, &avx512::hallucinated::kKernels});
#else
  return table_for(isa, {&scalar::hallucinated::kKernels, &neon::hallucinated::kKernels});
#endif
}

}  // namespace coppice
