// Register-blocked product of rows and panels of weights, for inclusion inside the anonymous namespace of one instruction set's source.
// The sums have names because gcc 12 spills an array of them (gemm.h).

#if COPPICE_LANES == 16
// 28 of 32 registers for the sums of two panels; two hold weights, one an element of x.
constexpr size_t kLinearRows = 14;
#define COPPICE_EACH_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13)
#elif COPPICE_LANES == 4
constexpr size_t kLinearRows = 8;
#define COPPICE_EACH_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)
#else
constexpr size_t kLinearRows = 4;
#define COPPICE_EACH_ROW(X) X(0) X(1) X(2) X(3)
#endif

// A row every `row` bytes; the second vector of weights `second` bytes behind the first.
struct LinearTile {
  const char* a;
  size_t row;
  const char* b;
  size_t second, steps;
};

#if COPPICE_LANES == 4
#include "linear_tile_neon.h"
#define COPPICE_TILE __attribute__((noinline))  // gcc 12 spills sums where it inlines one
#elif COPPICE_LANES == 16 && !COPPICE_UNSIGNED_INPUT
#define COPPICE_TILE COPPICE_INLINE inline  // 0.94 of the time of calls on Zen 4, 12 and 13 rows, 2026-11-22
#else
#define COPPICE_TILE inline
#endif

// Rows of a tile.
template <class Type>
constexpr size_t rows_of() {
  return sizeof(typename Type::Sum) == sizeof(Vec) ? kLinearRows : kLinearRows / 2;
}

// A finished sum: a vector of columns.
template <class Type>
using Total = decltype(total(Type::zero()));

// The sums of the tile: sums[2 row] of the first vector of columns, sums[2 row + 1] of the second.
template <class Type, size_t Rows, bool Two>
COPPICE_TILE void linear_tile(LinearTile t, Total<Type>* sums) {
#define COPPICE_DECLARE(r) \
  auto c##r = Type::zero(), d##r = Type::zero(); \
  (void)c##r, (void)d##r;
  COPPICE_EACH_ROW(COPPICE_DECLARE)
#undef COPPICE_DECLARE
#if COPPICE_LANES == 4
  several_steps<Rows, Two>(t, c0, d0, c1, d1, c2, d2, c3, d3, c4, d4, c5, d5, c6, d6, c7, d7);
#endif
  const size_t row = t.row, three = 3 * row, second = t.second;
  // One pointer serves four rows: a pointer for each would not fit the registers.
  const char *a0 = t.a, *a4 = a0 + (Rows > 4 ? 4 * row : 0), *a8 = a0 + (Rows > 8 ? 8 * row : 0), *a12 = a0 + (Rows > 12 ? 12 * row : 0);
  const char* b = t.b;
  for (size_t step = t.steps; step > 0; --step) {
    const auto b0 = Type::weights(b), b1 = Type::weights(Two ? b + second : b);
    (void)b1;
#define COPPICE_MULTIPLY(r)                                                                                        \
  if constexpr (Rows > r) {                                                                                        \
    const char* const base = r < 4 ? a0 : r < 8 ? a4 : r < 12 ? a8 : a12;                                          \
    const auto x = Type::spread(base + (r % 4 == 0 ? 0 : r % 4 == 1 ? row : r % 4 == 2 ? 2 * row : three));        \
    Type::add(c##r, x, b0);                                                                                        \
    if constexpr (Two) Type::add(d##r, x, b1);                                                                     \
  }
    COPPICE_EACH_ROW(COPPICE_MULTIPLY)
#undef COPPICE_MULTIPLY
    a0 += 4, a4 += 4, a8 += 4, a12 += 4;
    b += Type::kBytes * kWeightPanel;
  }
#define COPPICE_HAND_ON(r)                                \
  if constexpr (Rows > r) {                               \
    sums[2 * r] = total(c##r);                            \
    if constexpr (Two) sums[2 * r + 1] = total(d##r);     \
  }
  COPPICE_EACH_ROW(COPPICE_HAND_ON)
#undef COPPICE_HAND_ON
}

template <class Type, bool Two, size_t Rows = rows_of<Type>()>
inline void linear_tile(const LinearTile& t, size_t rows, Total<Type>* sums) {
  if (rows == Rows) return linear_tile<Type, Rows, Two>(t, sums);
  if constexpr (Rows > 1) linear_tile<Type, Two, Rows - 1>(t, rows, sums);
}
#undef COPPICE_EACH_ROW
