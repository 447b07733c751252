// How each weight type multiplies, for inclusion inside the anonymous namespace of one instruction set's source.
//
// A type reads a vector of columns of one step of a panel and four bytes of a row of x: one float, or four int8.

struct FloatWeights {
  using Sum = Vec;
  using Input = Vec;
  static constexpr size_t kBytes = 4, kDepth = 1;  // of one column's step
  static Sum zero() { return splat(0); }
  static Vec weights(const char* b) { return load(reinterpret_cast<const float*>(b)); }
  static Input spread(const char* a) { return splat(*reinterpret_cast<const float*>(a)); }
  static void add(Sum& sum, Input x, Vec w) { sum += x * w; }
};

#if COPPICE_LANES != 4  // linear.h widens them before
struct HalfWeights : FloatWeights {
  static constexpr size_t kBytes = 2;
  static Vec weights(const char* b) {
#if COPPICE_LANES == 16
    return Vec(_mm512_maskz_cvtph_ps(0xffff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b))));
#elif COPPICE_LANES == 8
    return Vec(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(b))));
#else
    float w;
    widen(reinterpret_cast<const uint16_t*>(b), 1, &w);
    return w;
#endif
  }
};
#endif

inline int32_t four_bytes(const char* a) {
  int32_t x;
  __builtin_memcpy(&x, a, sizeof(x));
  return x;
}

// A sum as it is handed on.
template <class Sum>
inline Sum total(const Sum& sum) {
  return sum;
}
#if COPPICE_LANES == 4 && !defined(__ARM_FEATURE_DOTPROD)
// Of two columns each: sums of the first two bytes of all groups, and of the other two.
struct Pairs {
  Ints low, high;
};
inline Ints total(const Pairs& sum) { return Ints(vpaddq_s32(int32x4_t(sum.low), int32x4_t(sum.high))); }
using Int8Sum = Pairs;
#else
using Int8Sum = Ints;
#endif

struct Int8Weights {
  using Sum = Int8Sum;
  static constexpr size_t kBytes = 4, kDepth = 4;
  static Sum zero() { return Sum{}; }
#if COPPICE_LANES == 16
  static __m512i weights(const char* b) { return _mm512_loadu_si512(b); }
#if COPPICE_UNSIGNED_INPUT
  using Input = __m512i;
  static Input spread(const char* a) { return _mm512_set1_epi32(four_bytes(a)); }
  static void add(Sum& sum, Input x, __m512i w) { sum = Sum(_mm512_dpbusd_epi32(__m512i(sum), x, w)); }
#else
  // |x| times the weights with the sign of x: two products are at most 2 127 127, which int16 holds.
  struct Input {
    __m512i size;
    __mmask64 negative;
  };
  static Input spread(const char* a) {
    const __m512i x = _mm512_set1_epi32(four_bytes(a));
    return {_mm512_abs_epi8(x), _mm512_movepi8_mask(x)};
  }
  static void add(Sum& sum, const Input& x, __m512i w) {
    const __m512i pairs = _mm512_maddubs_epi16(x.size, _mm512_mask_sub_epi8(w, x.negative, _mm512_setzero_si512(), w));
    sum += Sum(_mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
  }
#endif
#elif COPPICE_LANES == 8
  // As with 16 lanes.
  struct Input {
    __m256i size, sign;
  };
  static __m256i weights(const char* b) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b)); }
  static Input spread(const char* a) {
    const __m256i x = _mm256_set1_epi32(four_bytes(a));
    return {_mm256_abs_epi8(x), x};
  }
  static void add(Sum& sum, const Input& x, __m256i w) {
    sum += Sum(_mm256_madd_epi16(_mm256_maddubs_epi16(x.size, _mm256_sign_epi8(w, x.sign)), _mm256_set1_epi16(1)));
  }
#elif COPPICE_LANES == 4
  using Input = int8x16_t;
  static int8x16_t weights(const char* b) { return vld1q_s8(reinterpret_cast<const int8_t*>(b)); }
  static Input spread(const char* a) { return vreinterpretq_s8_s32(vdupq_n_s32(four_bytes(a))); }
#if defined(__ARM_FEATURE_DOTPROD)
  static void add(Sum& sum, Input x, int8x16_t w) { sum = Sum(vdotq_s32(int32x4_t(sum), w, x)); }
#else
  static void add(Sum& sum, Input x, int8x16_t w) {
    sum.low = Ints(vpadalq_s16(int32x4_t(sum.low), vmull_s8(vget_low_s8(w), vget_low_s8(x))));
    sum.high = Ints(vpadalq_s16(int32x4_t(sum.high), vmull_high_s8(w, x)));
  }
#endif
#else
  using Input = const char*;
  static const char* weights(const char* b) { return b; }
  static Input spread(const char* a) { return a; }
  static void add(Sum& sum, Input x, const char* w) {
    for (size_t i = 0; i < 4; ++i) sum += static_cast<signed char>(x[i]) * static_cast<signed char>(w[i]);
  }
#endif
};
