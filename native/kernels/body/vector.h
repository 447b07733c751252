// Vectors of COPPICE_LANES floats, for inclusion inside the anonymous namespace of one instruction set's source.
// No include guard on purpose: nothing here may be shared between objects that are compiled for different processors.

constexpr size_t kLanes = COPPICE_LANES;
constexpr float kLog2E = 1.44269504f;

// For what loops over vectors call: gcc 12 does not inline all of it, and no whole vector register outlives a call on ARM.
#define COPPICE_INLINE __attribute__((always_inline))

#if COPPICE_LANES == 1
using Vec = float;
using Bits = uint32_t;
inline Vec splat(float x) { return x; }
inline Vec load(const float* p) { return *p; }
inline void store(float* p, Vec v) { *p = v; }
inline float lane(Vec v, size_t) { return v; }
#else
typedef float Vec __attribute__((vector_size(COPPICE_LANES * 4)));
typedef uint32_t Bits __attribute__((vector_size(COPPICE_LANES * 4)));
typedef float UnalignedVec __attribute__((vector_size(COPPICE_LANES * 4), aligned(4), may_alias));
inline Vec splat(float x) { return x - Vec{}; }
inline Vec load(const float* p) { return *reinterpret_cast<const UnalignedVec*>(p); }
inline void store(float* p, Vec v) { *reinterpret_cast<UnalignedVec*>(p) = v; }
inline float lane(Vec v, size_t i) { return v[i]; }
#endif

inline size_t round_up(size_t n, size_t step) { return (n + step - 1) / step * step; }

// The first n < kLanes values, and `rest` behind them.
inline Vec load_part(const float* p, size_t n, Vec rest = splat(0));
inline void store_part(float* p, Vec v, size_t n);
// The first n < kLanes lanes, and zeros behind them.
inline Vec part(Vec v, size_t n);

#if COPPICE_LANES == 16
inline __mmask16 first(size_t n) { return static_cast<__mmask16>((1u << n) - 1); }
inline Vec load_part(const float* p, size_t n, Vec rest) { return Vec(_mm512_mask_loadu_ps(__m512(rest), first(n), p)); }
inline void store_part(float* p, Vec v, size_t n) { _mm512_mask_storeu_ps(p, first(n), __m512(v)); }
inline Vec part(Vec v, size_t n) { return Vec(_mm512_maskz_mov_ps(first(n), __m512(v))); }
#else
inline Vec load_part(const float* p, size_t n, Vec rest) {
  float all[kLanes];
  store(all, rest);
  __builtin_memcpy(all, p, n * sizeof(float));
  return load(all);
}

inline void store_part(float* p, Vec v, size_t n) {
  float all[kLanes];
  store(all, v);
  __builtin_memcpy(p, all, n * sizeof(float));
}

inline Vec part(Vec v, size_t n) {
  float all[kLanes];
  store(all, v);
  return load_part(all, n);
}
#endif

// Lanes of four-lane vectors a, then b, by number.
#if defined(__clang__)
#define COPPICE_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
typedef uint32_t QuadBits __attribute__((vector_size(16)));
#define COPPICE_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, QuadBits{__VA_ARGS__})
#endif

#if COPPICE_LANES == 1
template <class Join>
inline float reduce(Vec v, const Join&) { return v; }
#else
// In halves, so that those of several rows overlap.
template <size_t Step = kLanes / 2, class Join>
inline float reduce(Vec v, const Join& join) {
#if defined(__clang__)
  Vec turned{};
  for (size_t i = 0; i < kLanes; ++i) turned[i] = v[(i + Step) % kLanes];
  v = join(v, turned);
#else
  Bits other{};
  for (size_t i = 0; i < kLanes; ++i) other[i] = static_cast<uint32_t>((i + Step) % kLanes);
  v = join(v, __builtin_shuffle(v, other));
#endif
  if constexpr (Step > 1) {
    return reduce<Step / 2>(v, join);
  } else {
    return v[0];
  }
}
#endif
inline float sum(Vec v) { return reduce(v, [](Vec a, Vec b) { return a + b; }); }

// A NaN in x stays. gcc makes a comparison and a blend of the plain form, where each processor has one instruction.
// maskz with all lanes: the plain intrinsics of gcc 12 warn of an uninitialised operand.
// Whether the NaN then stays in all further ones too, whichever operand it is.
constexpr bool kNaNStays = COPPICE_LANES == 4;
#if COPPICE_LANES == 16
inline Vec at_least(Vec x, Vec low) { return Vec(_mm512_maskz_max_ps(0xffff, __m512(low), __m512(x))); }
inline Vec at_most(Vec x, Vec high) { return Vec(_mm512_maskz_min_ps(0xffff, __m512(high), __m512(x))); }
#elif COPPICE_LANES == 8
inline Vec at_least(Vec x, Vec low) { return Vec(_mm256_max_ps(__m256(low), __m256(x))); }
inline Vec at_most(Vec x, Vec high) { return Vec(_mm256_min_ps(__m256(high), __m256(x))); }
#elif COPPICE_LANES == 4
inline Vec at_least(Vec x, Vec low) { return Vec(vmaxq_f32(float32x4_t(x), float32x4_t(low))); }
inline Vec at_most(Vec x, Vec high) { return Vec(vminq_f32(float32x4_t(x), float32x4_t(high))); }
#else
inline Vec at_least(Vec x, Vec low) { return x < low ? low : x; }
inline Vec at_most(Vec x, Vec high) { return x > high ? high : x; }
#endif

template <class To, class From>
inline To bits(From from) {
  To to;
  static_assert(sizeof(To) == sizeof(From), "same width");
  __builtin_memcpy(&to, &from, sizeof(to));
  return to;
}

#if COPPICE_LANES == 4
inline Vec magnitude(Vec x) { return Vec(vabsq_f32(float32x4_t(x))); }
#else
inline Vec magnitude(Vec x) { return bits<Vec>(bits<Bits>(x) & 0x7fffffffu); }
#endif

// 2^r for r in -1/2..1/2, less a factor: p(r) r + 1 is the minimax polynomial of degree 5, relative error 1e-07.
inline Vec power_polynomial(Vec r) {
  Vec p = splat(1.3264727e-03f);
  p = p * r + splat(9.671513e-03f);
  p = p * r + splat(0.055507336f);
  p = p * r + splat(0.24022242f);
  return p * r + splat(0.693147f);
}

// 2^x to 2 ulp for x in -126..127. NaN stays NaN.
inline Vec exp2_within(Vec x);
// The same; below it gives 2^-126, above 2^127 or more.
inline Vec exp2_vec(Vec x);
// e^x for x <= 0, to 2 ulp and one more for each unit of |x|; below -87 it gives about 1e-38. NaN stays NaN.
inline Vec exp_negative(Vec x);

#if COPPICE_LANES == 16
// The processor rounds and scales by powers of two itself, with overflow to infinity.
inline Vec nearest(Vec x) { return Vec(_mm512_maskz_roundscale_ps(0xffff, __m512(x), _MM_FROUND_TO_NEAREST_INT)); }
inline Vec power_of_two(Vec n, Vec r) { return Vec(_mm512_maskz_scalef_ps(0xffff, __m512(power_polynomial(r) * r + splat(1.0f)), __m512(n))); }
COPPICE_INLINE inline Vec exp2_within(Vec x) {
  const Vec n = nearest(x);
  return power_of_two(n, x - n);
}
inline Vec exp2_vec(Vec x) { return exp2_within(at_least(x, splat(-126.0f))); }
inline Vec exp_negative(Vec x) {
  x = at_least(x, splat(-87.0f));
  const Vec n = nearest(x * splat(kLog2E));
  return power_of_two(n, x * splat(kLog2E) - n);
}
#else
// 1.5 * 2^23: adding it to a float rounds to a whole number, which then lies in the low bits of the mantissa; here as an exponent does.
constexpr float kMagic = 12582912.0f + 127.0f;

// 2^n 2^r for r in -1/2..1/2 and a whole n in -126..127, given as kMagic + n.
inline Vec power_of_two(Vec shifted, Vec r) {
  // A product, not a sum in the exponent: it keeps any NaN.
  const Vec scale = bits<Vec>(bits<Bits>(shifted) << 23);
  return (power_polynomial(r) * r) * scale + scale;
}

COPPICE_INLINE inline Vec exp2_within(Vec x) {
  const Vec shifted = x + splat(kMagic);
  return power_of_two(shifted, x - (shifted - splat(kMagic)));
}
inline Vec exp2_vec(Vec x) { return exp2_within(at_most(at_least(x, splat(-126.0f)), splat(127.0f))); }

inline Vec exp_negative(Vec x) {
  x = at_least(x, splat(-87.0f));
  const Vec shifted = x * splat(kLog2E) + splat(kMagic);
  return power_of_two(shifted, x * splat(kLog2E) - (shifted - splat(kMagic)));
}
#endif

inline float dot(const float* a, const float* b, size_t n) {
  Vec even = splat(0), odd = splat(0);
  size_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    even += load(a + i) * load(b + i);
    odd += load(a + i + kLanes) * load(b + i + kLanes);
  }
  for (; i + kLanes <= n; i += kLanes) even += load(a + i) * load(b + i);
  if (i < n) odd += load_part(a + i, n - i) * load_part(b + i, n - i);
  return sum(even + odd);
}

// Values are read in place unless a row's last vector would reach past the buffer; then they are copied into rows of whole
// vectors.
inline bool values_in_place(size_t dim) { return dim % kLanes == 0; }
inline size_t value_row(size_t dim) { return round_up(dim, kLanes); }

// out[0..n) = exp(x - max x); returns the sum. out may be x.
inline float exponentials(const float* x, size_t n, float* out) {
  // Not -inf: logits of -inf alone would give inf - inf, where the sum of no weights is meant.
  const Vec lowest = splat(-1e30f);
  const size_t whole = n / kLanes * kLanes;
  Vec tops = lowest;
  for (size_t i = 0; i < whole; i += kLanes) tops = at_least(load(x + i), tops);
  const Vec tail = load_part(x + whole, n - whole, lowest);
  tops = at_least(tail, tops);
  float most = lane(tops, 0);
  for (size_t l = 1; l < kLanes; ++l) most = lane(tops, l) > most ? lane(tops, l) : most;
  const Vec top = splat(most);
  Vec total = splat(0);
  for (size_t i = 0; i < whole; i += kLanes) {
    const Vec e = exp_negative(load(x + i) - top);
    store(out + i, e);
    total += e;
  }
  if (whole < n) {
    const Vec e = exp_negative(tail - top);
    store_part(out + whole, e, n - whole);
    total += part(e, n - whole);
  }
  return sum(total);
}
