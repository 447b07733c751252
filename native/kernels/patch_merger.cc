#include "patch_merger.h"

#include "table_for.h"

namespace coppice {

const PatchMergerKernels& patch_merger_kernels(const char* isa) {
#if defined(__x86_64__)
  return table_for(isa, {&scalar::kPatchMergerKernels, &avx2::kPatchMergerKernels, &avx512::kPatchMergerKernels});
#else
  return table_for(isa, {&scalar::kPatchMergerKernels, &neon::kPatchMergerKernels});
#endif
}

}  // namespace coppice
