#include "int8_attention.h"

#include "table_for.h"

namespace coppice {

const Int8AttentionKernels& int8_attention_kernels(const char* isa) {
#if defined(__x86_64__)
  return table_for(isa, {&scalar::kInt8AttentionKernels, &avx2::kInt8AttentionKernels, &avx512::kInt8AttentionKernels, &avx512_vnni::kInt8AttentionKernels});
#else
  return table_for(isa, {&scalar::kInt8AttentionKernels, &neon::kInt8AttentionKernels, &neon_dotprod::kInt8AttentionKernels});
#endif
}

}  // namespace coppice
