// Register-blocked matrix product for inclusion inside the anonymous namespace of one instruction set's source.
//
// The accumulators have names because gcc 12 spills an array of 24 vectors to the stack, which costs a factor of two to
// three on every board (58 instead of 31 instructions a step on Cortex-A72, static analysis, 2026-11).

#if defined(__aarch64__) && COPPICE_LANES == 4
#define COPPICE_BY_LANE 1
#include "lanes_neon.h"
// Sixteen vectors of c, and as many for four steps of a and b.
constexpr size_t kTileRows = 8;
constexpr size_t kTileVectors = 2;
#define COPPICE_EACH_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)
#else
#define COPPICE_BY_LANE 0
constexpr size_t kTileRows = 6;
constexpr size_t kTileVectors = COPPICE_TILE_VECTORS;
#define COPPICE_EACH_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5)
#endif
constexpr size_t kPanel = kTileVectors * kLanes;

struct Product {
  size_t depth;
  const float* a;  // element (row, step) at a[row * a_row + step * a_step]; if a_row is 1, readable up to a multiple of four rows
  size_t a_row, a_step;
  const float* b;  // element (step, column) at b[step * b_step + column]; readable up to a whole vector of columns
  size_t b_step;
};

// How a lies in memory: by row if a_step is 1, by step if a_row is 1. Another layout is multiplied too, but slowly.
enum class Lies { kByRow, kByStep };

// What becomes of a finished tile, one column of vectors at a time: finish(row, column, left, value...) gets the values of
// rows `row` and following, of which the first `left` lanes exist. Arguments, not an array: gcc would spill it.
// The usual finish: c[row * c_row + column] = value.
struct Into {
  float* c;
  size_t c_row;
  void put(size_t row, size_t column, size_t left, Vec value) const {
    float* out = c + row * c_row + column;
    if (left >= kLanes) {
      store(out, value);
    } else {
      store_part(out, value, left);
    }
  }
  Vec present(size_t row, size_t column, size_t left) const {
    const float* out = c + row * c_row + column;
    return left >= kLanes ? load(out) : load_part(out, left);
  }
};

// Rows x (Vectors * kLanes) of c at (row, column); `columns` of them exist.
template <Lies A, size_t Rows, size_t Vectors, class Finish>
inline void tile(const Product& p, size_t row, size_t column, size_t columns, const Finish& finish) {
  const size_t depth = p.depth, a_step = p.a_step, b_step = p.b_step;
  const float* b = p.b + column;
#define COPPICE_DECLARE(r)                                                 \
  Vec c##r##0 = splat(0), c##r##1 = splat(0), c##r##2 = splat(0), c##r##3 = splat(0); \
  const float* a##r = p.a + (row + (r < Rows ? r : 0)) * p.a_row;          \
  (void)c##r##0, (void)c##r##1, (void)c##r##2, (void)c##r##3, (void)a##r;
  COPPICE_EACH_ROW(COPPICE_DECLARE)
#undef COPPICE_DECLARE
  size_t step = 0;
#if COPPICE_BY_LANE
  // Steps by fours, if a lies as A says: x holds four steps of a row, or four rows of a step.
#define COPPICE_LANE(r, x, lane, s)                                            \
  if constexpr (Rows > r) {                                                    \
    multiply_lane<lane>(c##r##0, b_first[s], x);                               \
    if constexpr (Vectors > 1) multiply_lane<lane>(c##r##1, b_second[s], x);   \
  }
  size_t fours = depth / 4;
  if (fours && (A == Lies::kByRow ? a_step : p.a_row) == 1) {
    Vec b_first[4], b_second[4], x[4], x_high[4];
    Steps b_steps(b, b_step);
    step = 4 * fours;
    b += step * b_step;
    if constexpr (A == Lies::kByRow) {
      const float *const low[4] = {a0, a1, a2, a3}, *const high[4] = {a4, a5, a6, a7};
      size_t offset = 0;
      do {
        load_rows(low, offset, x[0], x[1], x[2], x[3]);
        if constexpr (Rows > 4) load_rows(high, offset, x_high[0], x_high[1], x_high[2], x_high[3]);
        offset += sizeof(Vec);
        load_steps<(Vectors > 1)>(b_steps, b_first, b_second);
#define COPPICE_STEP(s)                                                                                                       \
  COPPICE_LANE(0, x[0], s, s) COPPICE_LANE(1, x[1], s, s) COPPICE_LANE(2, x[2], s, s) COPPICE_LANE(3, x[3], s, s)             \
  COPPICE_LANE(4, x_high[0], s, s) COPPICE_LANE(5, x_high[1], s, s) COPPICE_LANE(6, x_high[2], s, s) COPPICE_LANE(7, x_high[3], s, s)
        COPPICE_STEP(0) COPPICE_STEP(1) COPPICE_STEP(2) COPPICE_STEP(3)
#undef COPPICE_STEP
      } while (--fours);
    } else {
      Steps a_steps(a0, a_step);
      do {
        load_steps<(Rows > 4)>(a_steps, x, x_high);
        load_steps<(Vectors > 1)>(b_steps, b_first, b_second);
#define COPPICE_STEP(s)                                                                                                       \
  COPPICE_LANE(0, x[s], 0, s) COPPICE_LANE(1, x[s], 1, s) COPPICE_LANE(2, x[s], 2, s) COPPICE_LANE(3, x[s], 3, s)             \
  COPPICE_LANE(4, x_high[s], 0, s) COPPICE_LANE(5, x_high[s], 1, s) COPPICE_LANE(6, x_high[s], 2, s) COPPICE_LANE(7, x_high[s], 3, s)
        COPPICE_STEP(0) COPPICE_STEP(1) COPPICE_STEP(2) COPPICE_STEP(3)
#undef COPPICE_STEP
      } while (--fours);
    }
  }
#undef COPPICE_LANE
#endif
  for (; step < depth; ++step, b += b_step) {
    const size_t at = step * a_step;
    const Vec b0 = load(b);
    Vec b1 = b0, b2 = b0, b3 = b0;
    if constexpr (Vectors > 1) b1 = load(b + kLanes);
    if constexpr (Vectors > 2) b2 = load(b + 2 * kLanes);
    if constexpr (Vectors > 3) b3 = load(b + 3 * kLanes);
    (void)b1, (void)b2, (void)b3;
#define COPPICE_MULTIPLY(r)                                              \
  if constexpr (Rows > r) {                                              \
    const Vec x = splat(a##r[at]);                                       \
    c##r##0 += x * b0;                                                   \
    if constexpr (Vectors > 1) c##r##1 += x * b1;                        \
    if constexpr (Vectors > 2) c##r##2 += x * b2;                        \
    if constexpr (Vectors > 3) c##r##3 += x * b3;                        \
  }
    COPPICE_EACH_ROW(COPPICE_MULTIPLY)
#undef COPPICE_MULTIPLY
  }
#if COPPICE_BY_LANE
#define COPPICE_FINISH_MORE(v)                                                                            \
  if constexpr (Rows == 7) finish(row, at, left, c0##v, c1##v, c2##v, c3##v, c4##v, c5##v, c6##v);        \
  if constexpr (Rows == 8) finish(row, at, left, c0##v, c1##v, c2##v, c3##v, c4##v, c5##v, c6##v, c7##v);
#else
#define COPPICE_FINISH_MORE(v)
#endif
#define COPPICE_FINISH(v)                                                          \
  if constexpr (Vectors > v) {                                                     \
    const size_t at = column + v * kLanes, left = columns - v * kLanes;            \
    if constexpr (Rows == 1) finish(row, at, left, c0##v);                         \
    if constexpr (Rows == 2) finish(row, at, left, c0##v, c1##v);                  \
    if constexpr (Rows == 3) finish(row, at, left, c0##v, c1##v, c2##v);           \
    if constexpr (Rows == 4) finish(row, at, left, c0##v, c1##v, c2##v, c3##v);    \
    if constexpr (Rows == 5) finish(row, at, left, c0##v, c1##v, c2##v, c3##v, c4##v); \
    if constexpr (Rows == 6) finish(row, at, left, c0##v, c1##v, c2##v, c3##v, c4##v, c5##v); \
    COPPICE_FINISH_MORE(v)                                                         \
  }
  COPPICE_FINISH(0)
  COPPICE_FINISH(1)
  COPPICE_FINISH(2)
  COPPICE_FINISH(3)
#undef COPPICE_FINISH
#undef COPPICE_FINISH_MORE
}
#undef COPPICE_EACH_ROW

template <Lies A, size_t Vectors, class Finish>
inline void tile_columns(const Product& p, size_t rows, size_t column, size_t columns, const Finish& finish) {
  size_t row = 0;
  for (; row + kTileRows <= rows; row += kTileRows) tile<A, kTileRows, Vectors>(p, row, column, columns, finish);
  switch (rows - row) {
#if COPPICE_BY_LANE
    case 7: return tile<A, 7, Vectors>(p, row, column, columns, finish);
    case 6: return tile<A, 6, Vectors>(p, row, column, columns, finish);
#endif
    case 5: return tile<A, 5, Vectors>(p, row, column, columns, finish);
    case 4: return tile<A, 4, Vectors>(p, row, column, columns, finish);
    case 3: return tile<A, 3, Vectors>(p, row, column, columns, finish);
    case 2: return tile<A, 2, Vectors>(p, row, column, columns, finish);
    case 1: return tile<A, 1, Vectors>(p, row, column, columns, finish);
    default: return;
  }
}

// finish(a b) for rows x columns; A is for speed alone.
template <Lies A = Lies::kByRow, class Finish>
inline void multiply(const Product& p, size_t rows, size_t columns, const Finish& finish) {
  size_t column = 0;
  for (; columns - column > kPanel - kLanes && column < columns; column += kPanel) {
    tile_columns<A, kTileVectors>(p, rows, column, columns - column, finish);
  }
  const size_t vectors = (columns - column + kLanes - 1) / kLanes;
  if constexpr (kTileVectors > 3) {
    if (vectors == 3) return tile_columns<A, 3>(p, rows, column, columns - column, finish);
  }
  if constexpr (kTileVectors > 2) {
    if (vectors == 2) return tile_columns<A, 2>(p, rows, column, columns - column, finish);
  }
  if (vectors == 1) tile_columns<A, 1>(p, rows, column, columns - column, finish);
}
