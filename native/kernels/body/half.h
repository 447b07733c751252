// IEEE 754 binary16 to and from float, for inclusion inside the anonymous namespace of one instruction set's source.
// To half: round to nearest, ties to even; beyond 65,504 to infinity. NaN stays NaN.

#if defined(__aarch64__)
// Conversions belong to ARMv8.0; gcc makes vectors of these loops.
inline void widen(const uint16_t* half, size_t n, float* out) {
  for (size_t i = 0; i < n; ++i) out[i] = static_cast<float>(reinterpret_cast<const __fp16*>(half)[i]);
}
inline void narrow(const float* x, size_t n, uint16_t* out) {
  for (size_t i = 0; i < n; ++i) reinterpret_cast<__fp16*>(out)[i] = static_cast<__fp16>(x[i]);
}
#else
inline float widen_one(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16, magnitude = half & 0x7fffu;
  if (magnitude >= 0x7c00u) return bits<float>(sign | 0x7f800000u | (magnitude << 13));
  // A subnormal half becomes a normal float: the product with 2^112 moves the exponent and is exact.
  return bits<float>(sign | bits<uint32_t>(bits<float>(magnitude << 13) * 5192296858534827628530496329220096.0f));
}

inline uint16_t narrow_one(float x) {
  const uint32_t all = bits<uint32_t>(x), sign = (all >> 16) & 0x8000u, magnitude = all & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x1ffu));
  if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);  // 65,520 and more round to infinity
  if (magnitude < 0x38800000u) {
    // Below 2^-14: adding 1/2 rounds to units of 2^-24 and leaves them in the low bits.
    return static_cast<uint16_t>(sign | (bits<uint32_t>(bits<float>(magnitude) + 0.5f) - 0x3f000000u));
  }
  return static_cast<uint16_t>(sign | ((magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1)) >> 13));
}

inline void widen(const uint16_t* half, size_t n, float* out) {
  size_t i = 0;
#if defined(__F16C__)
  for (; i + 8 <= n; i += 8) _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(half + i))));
#endif
  for (; i < n; ++i) out[i] = widen_one(half[i]);
}
inline void narrow(const float* x, size_t n, uint16_t* out) {
  size_t i = 0;
#if defined(__F16C__)
  for (; i + 8 <= n; i += 8) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
  }
#endif
  for (; i < n; ++i) out[i] = narrow_one(x[i]);
}
#endif
