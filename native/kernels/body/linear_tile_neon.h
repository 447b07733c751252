// Most steps of a tile for 64-bit ARM, in assembly for the reasons of lanes_neon.h. For inclusion by linear_tile.h.

#include "lanes_neon.h"

#if defined(__ARM_FEATURE_DOTPROD)
// c += four products of bytes for each of four columns; Lane: which four bytes of a.
template <int Lane>
inline void multiply_lane(Ints& c, Vec b, Vec a) {
  __asm__ volatile("sdot %0.4s, %1.16b, %2.4b[%3]" : "+w"(c) : "w"(b), "w"(a), "i"(Lane));
}
#else
// The weights of two steps: eight columns of each.
inline void load_weights(const char*& b, Vec (&w)[4]) {
  __asm__ volatile("ldr %q0, [%4]\n\tldr %q1, [%4, 16]\n\tldr %q2, [%4, 64]\n\tldr %q3, [%4, 80]\n\tadd %4, %4, 128"
                   : "=&w"(w[0]), "=&w"(w[1]), "=&w"(w[2]), "=&w"(w[3]), "+&r"(b)
                   :
                   : "memory");
}

inline void add_pairs(Ints& sum, Vec words) { __asm__ volatile("sadalp %0.4s, %1.8h" : "+w"(sum) : "w"(words)); }

// Two steps of two rows; x holds the first step of both, then the second. Two products of bytes fit a word, as each is at most 127 127.
// Eight instructions come between a result and its use, where Cortex-A53 needs six. One statement: between two, gcc 12 moves words about.
inline void two_steps(const Vec (&w)[4], const float* const (&rows)[4], size_t offset, Pairs& c0, Pairs& d0, Pairs& c1, Pairs& d1) {
  Vec x0, x1, x2, x3, t0, t1, t2, t3, t4, t5, t6, t7;
  load_rows(rows, offset, x0, x1, x2, x3);
  __asm__ volatile(
      "smull %0.8h, %8.8b, %12.8b\n\tsmull2 %1.8h, %8.16b, %12.16b\n\tsmull %2.8h, %9.8b, %12.8b\n\tsmull2 %3.8h, %9.16b, %12.16b\n\t"
      "smull %4.8h, %8.8b, %13.8b\n\tsmull2 %5.8h, %8.16b, %13.16b\n\tsmull %6.8h, %9.8b, %13.8b\n\tsmull2 %7.8h, %9.16b, %13.16b\n\t"
      "smlal %0.8h, %10.8b, %14.8b\n\tsmlal2 %1.8h, %10.16b, %14.16b\n\tsmlal %2.8h, %11.8b, %14.8b\n\tsmlal2 %3.8h, %11.16b, %14.16b\n\t"
      "smlal %4.8h, %10.8b, %15.8b\n\tsmlal2 %5.8h, %10.16b, %15.16b\n\tsmlal %6.8h, %11.8b, %15.8b\n\tsmlal2 %7.8h, %11.16b, %15.16b"
      : "=&w"(t0), "=&w"(t1), "=&w"(t2), "=&w"(t3), "=&w"(t4), "=&w"(t5), "=&w"(t6), "=&w"(t7)
      : "w"(w[0]), "w"(w[1]), "w"(w[2]), "w"(w[3]), "w"(x0), "w"(x1), "w"(x2), "w"(x3));
  add_pairs(c0.low, t0), add_pairs(c0.high, t1), add_pairs(d0.low, t2), add_pairs(d0.high, t3);
  add_pairs(c1.low, t4), add_pairs(c1.high, t5), add_pairs(d1.low, t6), add_pairs(d1.high, t7);
}

// All steps but an odd one, which it leaves. Rows by twos and eight columns at a time: sums that do not exist are made, and not used.
template <size_t Rows, bool Two>
COPPICE_INLINE inline void several_steps(LinearTile& t, Pairs& c0, Pairs& d0, Pairs& c1, Pairs& d1, Pairs& c2, Pairs& d2, Pairs& c3, Pairs& d3, Pairs&, Pairs&,
                          Pairs&, Pairs&, Pairs&, Pairs&, Pairs&, Pairs&) {
  const auto row = [&](size_t r, size_t step) { return reinterpret_cast<const float*>(t.a + (r < Rows ? r : 0) * t.row + step * sizeof(Vec)); };
  const float *const low[4] = {row(0, 0), row(1, 0), row(0, 1), row(1, 1)}, *const high[4] = {row(2, 0), row(3, 0), row(2, 1), row(3, 1)};
  size_t offset = 0;
  for (size_t twos = t.steps / 2; twos > 0; --twos, offset += 2 * sizeof(Vec)) {
    Vec w[4];
    load_weights(t.b, w);
    two_steps(w, low, offset, c0, d0, c1, d1);
    if constexpr (Rows > 2) two_steps(w, high, offset, c2, d2, c3, d3);
  }
  t.a += offset;
  t.steps %= 2;
}
#endif

// The weights of step Step: a vector of columns, and the next one if Two.
template <int Step, bool Two>
inline void load_weights(const char* b, Vec& first, Vec& second) {
  if constexpr (Two) {
    __asm__ volatile("ldp %q0, %q1, [%2, %3]" : "=w"(first), "=w"(second) : "r"(b), "i"(64 * Step) : "memory");
  } else {
    __asm__ volatile("ldr %q0, [%1, %2]" : "=w"(first) : "r"(b), "i"(64 * Step) : "memory");
  }
}

#if defined(__ARM_FEATURE_DOTPROD)
// Cortex-A55 has products to start while a pair of vectors is on its way: 73 % of its peak, together 66 % (LLVM 19, 2026-11-22).
constexpr bool kLoadsTogether = false;
#else
constexpr bool kLoadsTogether = true;
#endif

// All steps by fours; leaves the rest. A step of weights is 64 bytes, of a row of x four.
template <size_t Rows, bool Two, class Sum>
COPPICE_INLINE inline void several_steps(LinearTile& t, Sum& c0, Sum& d0, Sum& c1, Sum& d1, Sum& c2, Sum& d2, Sum& c3, Sum& d3, Sum& c4, Sum& d4, Sum& c5,
                          Sum& d5, Sum& c6, Sum& d6, Sum& c7, Sum& d7) {
  size_t fours = t.steps / 4;
  if (fours == 0) return;
  const auto row = [&](size_t r) { return reinterpret_cast<const float*>(t.a + (r < Rows ? r : 0) * t.row); };
  const float *const low[4] = {row(0), row(1), row(2), row(3)}, *const high[4] = {row(4), row(5), row(6), row(7)};
  const char* b = t.b;
  size_t offset = 0;
  do {
    Vec x[4], x_high[4], first[4], second[4];
    load_rows(low, offset, x[0], x[1], x[2], x[3]);
    if constexpr (Rows > 4) load_rows(high, offset, x_high[0], x_high[1], x_high[2], x_high[3]);
    offset += sizeof(Vec);
#define COPPICE_LOAD(s) load_weights<s, Two>(b, first[s], second[s]);
#define COPPICE_LANE(r, x, s)                                  \
  if constexpr (Rows > r) {                                    \
    multiply_lane<s>(c##r, first[s], x);                       \
    if constexpr (Two) multiply_lane<s>(d##r, second[s], x);   \
  }
#define COPPICE_STEP(s)                                                                                        \
  COPPICE_LANE(0, x[0], s) COPPICE_LANE(1, x[1], s) COPPICE_LANE(2, x[2], s) COPPICE_LANE(3, x[3], s)          \
  COPPICE_LANE(4, x_high[0], s) COPPICE_LANE(5, x_high[1], s) COPPICE_LANE(6, x_high[2], s) COPPICE_LANE(7, x_high[3], s)
    COPPICE_LOAD(0) COPPICE_LOAD(1)
    if constexpr (kLoadsTogether) { COPPICE_LOAD(2) COPPICE_LOAD(3) }
    COPPICE_STEP(0)
    if constexpr (!kLoadsTogether) { COPPICE_LOAD(2) }
    COPPICE_STEP(1)
    if constexpr (!kLoadsTogether) { COPPICE_LOAD(3) }
    COPPICE_STEP(2) COPPICE_STEP(3)
#undef COPPICE_STEP
#undef COPPICE_LANE
#undef COPPICE_LOAD
    b += 4 * 64;
  } while (--fours);
  t.a += offset;
  t.b = b;
  t.steps %= 4;
}
