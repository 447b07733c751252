// Quantisation of rows by the rule of linear.h, for inclusion inside the anonymous namespace of one instruction set's source.

#if COPPICE_LANES == 1
using Ints = int32_t;
#else
typedef int32_t Ints __attribute__((vector_size(COPPICE_LANES * 4)));
#endif

inline Vec floats(Ints x) {
#if COPPICE_LANES > 1
  return __builtin_convertvector(x, Vec);
#else
  return static_cast<float>(x);
#endif
}

// To even; what NaN gives, and what int32 cannot hold, is not said.
inline Ints rounded(Vec x) {
#if COPPICE_LANES == 16
  return Ints(_mm512_maskz_cvtps_epi32(0xffff, __m512(x)));
#elif COPPICE_LANES == 8
  return Ints(_mm256_cvtps_epi32(__m256(x)));
#elif COPPICE_LANES == 4
  return Ints(vcvtnq_s32_f32(float32x4_t(x)));
#else
  return __builtin_fabsf(x) < 2147483648.0f ? static_cast<int32_t>(__builtin_rintf(x)) : 0;
#endif
}

#if COPPICE_LANES == 4 && !defined(__ARM_FEATURE_DOTPROD)
// Four bytes stand there four times: a vector for four columns.
constexpr size_t kCopies = 4;
#else
constexpr size_t kCopies = 1;
#endif

// A row's bytes, as many as whole groups of 64, so that a vector may reach past the last.
inline size_t quantised_stride(size_t width) { return round_up(width, 64) * kCopies; }

#if COPPICE_LANES == 4
// The rows of a tile lie side by side, a block of each in turn: two loads of pairs read a block of two or four rows.
constexpr size_t kSide = kCopies == 4 ? 4 : 8, kBlock = kCopies == 4 ? 32 : 16;
#else
constexpr size_t kSide = 1, kBlock = 64;
#endif

// Where a row begins, of rows of this width, and where its byte `i` lies behind that.
inline size_t row_at(size_t row, size_t width) { return row / kSide * kSide * quantised_stride(width) + row % kSide * kBlock; }
inline size_t byte_at(size_t i) { return i * kCopies / kBlock * kBlock * kSide + i * kCopies % kBlock; }

// The rows of one call: x / unit + zero as bytes, and zeros behind them up to a multiple of four; those of a body with COPPICE_UNSIGNED_INPUT hold 128 more, `offset` too.
struct Quantised {
  int8_t* q = nullptr;
  float* unit = nullptr;      // [rows]
  int32_t* offset = nullptr;  // [rows] what the bytes of 0 are
};

#if COPPICE_LANES == 1
inline void put_bytes(Ints x, int32_t zero, int8_t* q) {
  x += zero;
  *q = static_cast<int8_t>(x > 127 ? 127 : x);
}
#elif COPPICE_LANES == 4
inline void put_bytes(Ints x, int32_t zero, int8_t* q) {
  const int16x4_t words = vqmovn_s32(int32x4_t(x + zero));
  const int8x8_t bytes = vqmovn_s16(vcombine_s16(words, words));
  if constexpr (kCopies == 4) {
    vst1q_s8(q, vcombine_s8(bytes, bytes));
  } else {
    vst1_lane_s32(reinterpret_cast<int32_t*>(q), vreinterpret_s32_s8(bytes), 0);
  }
}
#elif COPPICE_LANES == 8
inline void put_bytes(Ints x, int32_t zero, int8_t* q) {
  const __m256i sum = __m256i(x + zero);
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(q), _mm_packs_epi16(words, words));
}
#else
inline void put_bytes(Ints x, int32_t zero, int8_t* q) {
  __m128i bytes = _mm512_maskz_cvtsepi32_epi8(0xffff, __m512i(x + zero));
#if COPPICE_UNSIGNED_INPUT
  bytes = _mm_xor_si128(bytes, _mm_set1_epi8(-128));
#endif
  _mm_storeu_si128(reinterpret_cast<__m128i*>(q), bytes);
}

// Four vectors at once: 16 instructions instead of 28. The packs work in quarters, whose order the last step mends.
inline void put_bytes(Ints x0, Ints x1, Ints x2, Ints x3, int32_t zero, int8_t* q) {
  const __m512i more = _mm512_set1_epi16(static_cast<int16_t>(zero));
  const __m512i low = _mm512_add_epi16(_mm512_packs_epi32(__m512i(x0), __m512i(x1)), more), high = _mm512_add_epi16(_mm512_packs_epi32(__m512i(x2), __m512i(x3)), more);
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  __m512i bytes = _mm512_maskz_permutexvar_epi32(0xffff, order, _mm512_packs_epi16(low, high));
#if COPPICE_UNSIGNED_INPUT
  bytes = _mm512_xor_si512(bytes, _mm512_set1_epi8(-128));
#endif
  _mm512_storeu_si512(q, bytes);
}
#endif

#if COPPICE_LANES == 4
// Four vectors at once: 9 instructions instead of 20.
inline void put_bytes(Ints x0, Ints x1, Ints x2, Ints x3, int32_t zero, int8_t* q) {
  const auto words = [&](Ints a, Ints b) COPPICE_INLINE { return vqaddq_s16(vqmovn_high_s32(vqmovn_s32(int32x4_t(a)), int32x4_t(b)), vdupq_n_s16(static_cast<int16_t>(zero))); };
  const int8x16_t bytes = vqmovn_high_s16(vqmovn_s16(words(x0, x1)), words(x2, x3));
  if constexpr (kCopies == 4) {
    const int32x4_t fours = vreinterpretq_s32_s8(bytes);
    const auto copies = [&](int32x4_t four, size_t i) COPPICE_INLINE { vst1q_s8(q + byte_at(4 * i), vreinterpretq_s8_s32(four)); };
    copies(vdupq_laneq_s32(fours, 0), 0), copies(vdupq_laneq_s32(fours, 1), 1), copies(vdupq_laneq_s32(fours, 2), 2), copies(vdupq_laneq_s32(fours, 3), 3);
  } else {
    vst1q_s8(q, bytes);
  }
}
#elif COPPICE_LANES != 16
inline void put_bytes(Ints x0, Ints x1, Ints x2, Ints x3, int32_t zero, int8_t* q) {
  put_bytes(x0, zero, q), put_bytes(x1, zero, q + kLanes), put_bytes(x2, zero, q + 2 * kLanes), put_bytes(x3, zero, q + 3 * kLanes);
}
#endif

struct ByteSteps {
  float unit, inverse;
  int32_t zero;
};

inline ByteSteps byte_steps(float lo, float hi) {
  const float exact = (hi - lo) / 254, unit = exact < 1.17549435e-38f ? 1 : exact, inverse = 1 / unit;
  return {unit, inverse, static_cast<int32_t>(__builtin_rintf(-lo * inverse)) - 127};
}

template <class Clip>
inline void put_row(const float* x, size_t width, const ByteSteps& steps, size_t row, const Quantised& out, const Clip& clip) {
  const size_t whole = width / kLanes * kLanes;
  const Vec inverse = splat(steps.inverse);
  int8_t* const q = out.q + row_at(row, width);
  size_t i = 0;
  for (; i + 4 * kLanes <= whole; i += 4 * kLanes) {
    const auto step = [&](size_t j) COPPICE_INLINE { return rounded(clip(load(x + i + j * kLanes), j) * inverse); };
    put_bytes(step(0), step(1), step(2), step(3), steps.zero, q + byte_at(i));
  }
  for (; i < whole; i += kLanes) put_bytes(rounded(clip(load(x + i), 0) * inverse), steps.zero, q + byte_at(i));
  if (whole < width) put_bytes(rounded(clip(load_part(x + whole, width - whole), 1) * inverse), steps.zero, q + byte_at(whole));
  for (i = round_up(width, kLanes); i % 4 != 0; i += kLanes) put_bytes(Ints{}, steps.zero, q + byte_at(i));
  out.unit[row] = steps.unit;
  out.offset[row] = steps.zero + (COPPICE_UNSIGNED_INPUT ? 128 : 0);
}

// By the layer's own range.
inline void quantise_row_within(float low, float high, const ByteSteps& steps, const float* x, size_t width, size_t row, const Quantised& out) {
  Vec none[4] = {};  // NaN from NaN and infinities; four by turns: one would wait for its own last step
  put_row(x, width, steps, row, out, [&](Vec v, size_t turn) {
    none[turn] += v * splat(0);
    return at_most(at_least(splat(low), v), splat(high));  // in this order a NaN becomes `low`
  });
  out.unit[row] += sum((none[0] + none[1]) + (none[2] + none[3]));
}

struct Range {
  Vec low = splat(0), high = low, none = low;
  void see(Vec v) {
    low = at_most(v, low);
    high = at_least(v, high);
    if constexpr (!kNaNStays) none += v * splat(0);  // NaN from NaN and infinities
  }
};

inline void quantise_row(const float* x, size_t width, size_t row, const Quantised& out) {
  const size_t whole = width / kLanes * kLanes;
  const Vec tail = load_part(x + whole, width - whole);
  // Of two vectors by turns: one would wait for its own last step.
  Range even, odd;
  size_t i = 0;
  for (; i + 2 * kLanes <= whole; i += 2 * kLanes) {
    even.see(load(x + i));
    odd.see(load(x + i + kLanes));
  }
  if (i < whole) even.see(load(x + i));
  odd.see(tail);
  const float lo = reduce(at_most(even.low, odd.low), at_most), hi = reduce(at_least(even.high, odd.high), at_least);
  const float not_finite = sum(even.none + odd.none) + 0 * (hi - lo);
  if (not_finite != 0) {  // a NaN, whatever the bytes
    out.offset[row] = 0;
    out.unit[row] = not_finite;
    return;
  }
  put_row(x, width, byte_steps(lo, hi), row, out, [](Vec v, size_t) { return v; });
}
