// libFuzzer's entry points around one operator's kernels.
#include "target.h"

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  testing::GTEST_FLAG(throw_on_failure) = true;  // uncaught: libFuzzer keeps the input
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  coppice::fuzz::Draw draw(bytes, size);
  coppice::fuzz::kernels(draw);
  return 0;
}
