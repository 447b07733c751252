// Most steps of a tile for 64-bit ARM, in assembly for the reasons of lanes_neon.h. For inclusion by linear_tile.h.
// Rows of bytes lie side by side (quantise.h). A step of weights is 64 bytes.

#include "lanes_neon.h"

// Two vectors, of which the second lies behind the first.
template <int Offset>
inline void load_pair(const char* p, Vec& first, Vec& second) {
  __asm__ volatile("ldp %q0, %q1, [%2, %3]" : "=w"(first), "=w"(second) : "r"(p), "i"(Offset) : "memory");
}

// The weights of step Step: a vector of columns, and the next one if Two.
template <int Step, bool Two>
inline void load_weights(const char* b, Vec& first, Vec& second) {
  if constexpr (Two) {
    load_pair<64 * Step>(b, first, second);
  } else {
    __asm__ volatile("ldr %q0, [%1, %2]" : "=w"(first) : "r"(b), "i"(64 * Step) : "memory");
  }
}

// Among the loads, where Cortex-A53 has a place for it.
template <int Bytes>
inline void advance(const char*& p) { __asm__ volatile("add %0, %0, %1" : "+r"(p) : "i"(Bytes)); }

#if defined(__ARM_FEATURE_DOTPROD)
// c += four products of bytes for each of four columns; Lane: which four bytes of a.
template <int Lane>
inline void multiply_lane(Ints& c, Vec b, Vec a) {
  __asm__ volatile("sdot %0.4s, %1.16b, %2.4b[%3]" : "+w"(c) : "w"(b), "w"(a), "i"(Lane));
}
#else
inline void add_pairs(Ints& sum, Vec words) { __asm__ volatile("sadalp %0.4s, %1.8h" : "+w"(sum) : "w"(words)); }

// Two steps of two rows; x holds the first step of both, then the second. Two products of bytes fit a word, as each is at most 127 127.
// Eight instructions come between a result and its use, where Cortex-A53 needs six. One statement: between two, gcc 12 moves words about.
inline void two_steps(const Vec (&w)[4], const Vec (&x)[4], Pairs& c0, Pairs& d0, Pairs& c1, Pairs& d1) {
  Vec t0, t1, t2, t3, t4, t5, t6, t7;
  __asm__ volatile(
      "smull %0.8h, %8.8b, %12.8b\n\tsmull2 %1.8h, %8.16b, %12.16b\n\tsmull %2.8h, %9.8b, %12.8b\n\tsmull2 %3.8h, %9.16b, %12.16b\n\t"
      "smull %4.8h, %8.8b, %13.8b\n\tsmull2 %5.8h, %8.16b, %13.16b\n\tsmull %6.8h, %9.8b, %13.8b\n\tsmull2 %7.8h, %9.16b, %13.16b\n\t"
      "smlal %0.8h, %10.8b, %14.8b\n\tsmlal2 %1.8h, %10.16b, %14.16b\n\tsmlal %2.8h, %11.8b, %14.8b\n\tsmlal2 %3.8h, %11.16b, %14.16b\n\t"
      "smlal %4.8h, %10.8b, %15.8b\n\tsmlal2 %5.8h, %10.16b, %15.16b\n\tsmlal %6.8h, %11.8b, %15.8b\n\tsmlal2 %7.8h, %11.16b, %15.16b"
      : "=&w"(t0), "=&w"(t1), "=&w"(t2), "=&w"(t3), "=&w"(t4), "=&w"(t5), "=&w"(t6), "=&w"(t7)
      : "w"(w[0]), "w"(w[1]), "w"(w[2]), "w"(w[3]), "w"(x[0]), "w"(x[1]), "w"(x[2]), "w"(x[3]));
  add_pairs(c0.low, t0), add_pairs(c0.high, t1), add_pairs(d0.low, t2), add_pairs(d0.high, t3);
  add_pairs(c1.low, t4), add_pairs(c1.high, t5), add_pairs(d1.low, t6), add_pairs(d1.high, t7);
}

// All steps but an odd one, which it leaves. Rows by twos and eight columns at a time: sums that do not exist are made, and not used.
template <size_t Rows, bool Two>
COPPICE_INLINE inline void several_steps(LinearTile& t, Pairs& c0, Pairs& d0, Pairs& c1, Pairs& d1, Pairs& c2, Pairs& d2, Pairs& c3, Pairs& d3, Pairs&, Pairs&,
                          Pairs&, Pairs&, Pairs&, Pairs&, Pairs&, Pairs&) {
  for (size_t twos = t.steps / 2; twos > 0; --twos) {
    Vec w[4], x[4];
    load_weights<0, true>(t.b, w[0], w[1]);
    load_weights<1, true>(t.b, w[2], w[3]);
    advance<2 * 64>(t.b);
    load_pair<0>(t.a, x[0], x[2]);
    load_pair<kBlock>(t.a, x[1], x[3]);
    two_steps(w, x, c0, d0, c1, d1);
    if constexpr (Rows > 2) {
      load_pair<2 * kBlock>(t.a, x[0], x[2]);
      load_pair<3 * kBlock>(t.a, x[1], x[3]);
      advance<kSide * kBlock>(t.a);
      two_steps(w, x, c2, d2, c3, d3);
    } else {
      advance<kSide * kBlock>(t.a);
    }
  }
  t.steps %= 2;
}
#endif

template <class Sum>
constexpr bool kSideBySide = false;
template <>
constexpr bool kSideBySide<Ints> = true;

// All steps by fours; leaves the rest. Rows of floats lie t.row bytes apart.
template <size_t Rows, bool Two, class Sum>
COPPICE_INLINE inline void several_steps(LinearTile& t, Sum& c0, Sum& d0, Sum& c1, Sum& d1, Sum& c2, Sum& d2, Sum& c3, Sum& d3, Sum& c4, Sum& d4, Sum& c5,
                          Sum& d5, Sum& c6, Sum& d6, Sum& c7, Sum& d7) {
  size_t fours = t.steps / 4;
  if (fours == 0) return;
  const auto row = [&](size_t r) { return reinterpret_cast<const float*>(t.a + (r < Rows ? r : 0) * t.row); };
  const float *const low[4] = {row(0), row(1), row(2), row(3)}, *const high[4] = {row(4), row(5), row(6), row(7)};
  const char *a = t.a, *b = t.b;
  size_t offset = 0;
  do {
    Vec x[8], w[4], v[4];
#define COPPICE_WEIGHTS(s) load_weights<s, Two>(b, w[s], v[s]);
#define COPPICE_LANE(r, s)                            \
  if constexpr (Rows > r) {                           \
    multiply_lane<s>(c##r, w[s], x[r]);               \
    if constexpr (Two) multiply_lane<s>(d##r, v[s], x[r]); \
  }
#define COPPICE_LOW(s) COPPICE_LANE(0, s) COPPICE_LANE(1, s) COPPICE_LANE(2, s) COPPICE_LANE(3, s)
#define COPPICE_HIGH(s) COPPICE_LANE(4, s) COPPICE_LANE(5, s) COPPICE_LANE(6, s) COPPICE_LANE(7, s)
    if constexpr (kSideBySide<Sum>) {
      // Spread: Cortex-A55 has products to start while a pair is on its way. 70 % of its peak, together 62 % (LLVM 19, 2026-11-22).
      COPPICE_WEIGHTS(0)
      load_pair<0>(a, x[0], x[1]);
      if constexpr (Rows > 2) load_pair<2 * kBlock>(a, x[2], x[3]);
      COPPICE_LANE(0, 0) COPPICE_LANE(1, 0)
      if constexpr (Rows > 4) load_pair<4 * kBlock>(a, x[4], x[5]);
      COPPICE_LANE(2, 0) COPPICE_LANE(3, 0)
      if constexpr (Rows > 6) load_pair<6 * kBlock>(a, x[6], x[7]);
      advance<kSide * kBlock>(a);
      COPPICE_LANE(4, 0) COPPICE_LANE(5, 0)
      COPPICE_WEIGHTS(1)
      COPPICE_LANE(6, 0) COPPICE_LANE(7, 0) COPPICE_LOW(1)
      COPPICE_WEIGHTS(2)
      COPPICE_HIGH(1) COPPICE_LOW(2)
      COPPICE_WEIGHTS(3)
      advance<4 * 64>(b);
      COPPICE_HIGH(2)
    } else {
      load_rows(low, offset, x[0], x[1], x[2], x[3]);
      if constexpr (Rows > 4) load_rows(high, offset, x[4], x[5], x[6], x[7]);
      offset += sizeof(Vec);
      COPPICE_WEIGHTS(0) COPPICE_WEIGHTS(1) COPPICE_WEIGHTS(2) COPPICE_WEIGHTS(3)
      advance<4 * 64>(b);
      COPPICE_LOW(0) COPPICE_HIGH(0) COPPICE_LOW(1) COPPICE_HIGH(1) COPPICE_LOW(2) COPPICE_HIGH(2)
    }
    COPPICE_LOW(3) COPPICE_HIGH(3)
#undef COPPICE_HIGH
#undef COPPICE_LOW
#undef COPPICE_LANE
#undef COPPICE_WEIGHTS
  } while (--fours);
  t.a = a + offset;
  t.b = b;
  t.steps %= 4;
}
