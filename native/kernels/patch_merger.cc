#include "patch_merger.h"

#include "tables.h"

namespace coppice {

const PatchMergerKernels& patch_merger_kernels(const char* isa) {
#if defined(__x86_64__)
  static const PatchMergerKernels* const tables[] = {&scalar::kPatchMergerKernels, &avx2::kPatchMergerKernels, &avx512::kPatchMergerKernels};
#else
  static const PatchMergerKernels* const tables[] = {&scalar::kPatchMergerKernels, &neon::kPatchMergerKernels};
#endif
  return table_for(isa, tables);
}

}  // namespace coppice
