// What vector.h and half.h take from the processor's own header, which must be included outside of any namespace.
#pragma once

#if defined(__aarch64__)
#include <arm_neon.h>
#else
#include <immintrin.h>
#endif
