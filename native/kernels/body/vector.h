// Vectors of COPPICE_LANES floats, for inclusion inside the anonymous namespace of one instruction set's source.
// No include guard on purpose: nothing here may be shared between objects that are compiled for different processors.

constexpr size_t kLanes = COPPICE_LANES;

#if COPPICE_LANES == 1
using Vec = float;
using IntVec = int32_t;
inline Vec splat(float x) { return x; }
inline Vec load(const float* p) { return *p; }
inline void store(float* p, Vec v) { *p = v; }
inline float lane(Vec v, size_t) { return v; }
#else
typedef float Vec __attribute__((vector_size(COPPICE_LANES * 4)));
typedef int32_t IntVec __attribute__((vector_size(COPPICE_LANES * 4)));
typedef float UnalignedVec __attribute__((vector_size(COPPICE_LANES * 4), aligned(4), may_alias));
inline Vec splat(float x) { return x - Vec{}; }
inline Vec load(const float* p) { return *reinterpret_cast<const UnalignedVec*>(p); }
inline void store(float* p, Vec v) { *reinterpret_cast<UnalignedVec*>(p) = v; }
inline float lane(Vec v, size_t i) { return v[i]; }
#endif

inline size_t round_up(size_t n, size_t step) { return (n + step - 1) / step * step; }

// The first n < kLanes values; the rest is zero.
inline Vec load_part(const float* p, size_t n) {
  float all[kLanes] = {};
  __builtin_memcpy(all, p, n * sizeof(float));
  return load(all);
}

inline void store_part(float* p, Vec v, size_t n) {
  float all[kLanes];
  store(all, v);
  __builtin_memcpy(p, all, n * sizeof(float));
}

inline float sum(Vec v) {
  float total = 0;
  for (size_t i = 0; i < kLanes; ++i) total += lane(v, i);
  return total;
}

template <class To, class From>
inline To bits(From from) {
  To to;
  static_assert(sizeof(To) == sizeof(From), "same width");
  __builtin_memcpy(&to, &from, sizeof(to));
  return to;
}

// e^x to 2 ulp for x in -87..88; below it gives about 1e-38, above about 2e38. NaN stays NaN.
inline Vec exp_vec(Vec x) {
  x = x < splat(-87.0f) ? splat(-87.0f) : x;
  x = x > splat(88.0f) ? splat(88.0f) : x;
  const Vec magic = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer in the low mantissa bits
  const Vec shifted = x * splat(1.44269504f) + magic;
  const Vec n = shifted - magic;
  const Vec r = (x - n * splat(0.693145752f)) - n * splat(1.42860677e-6f);  // ln 2 in two parts: the first product is exact
  // Taylor polynomial on |r| <= ln(2)/2: the first omitted term, r^8/8!, is below 6e-9.
  Vec p = splat(1.0f / 5040);
  p = p * r + splat(1.0f / 720);
  p = p * r + splat(1.0f / 120);
  p = p * r + splat(1.0f / 24);
  p = p * r + splat(1.0f / 6);
  p = p * r + splat(0.5f);
  p = p * r + splat(1.0f);
  p = p * r + splat(1.0f);
  return bits<Vec>(bits<IntVec>(p) + ((bits<IntVec>(shifted) - bits<IntVec>(magic)) << 23));
}

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
