// Register-blocked matrix product for inclusion inside the anonymous namespace of one instruction set's source.
//
// The accumulators have names because gcc 12 spills an array of 24 vectors to the stack, which costs a factor of two to
// three on every board (58 instead of 31 instructions a step on Cortex-A72, static analysis, 2026-11).

constexpr size_t kTileRows = 6;
constexpr size_t kTileVectors = COPPICE_TILE_VECTORS;
constexpr size_t kPanel = kTileVectors * kLanes;

struct Product {
  size_t depth;
  const float* a;  // element (row, step) at a[row * a_row + step * a_step]
  size_t a_row, a_step;
  const float* b;  // element (step, column) at b[step * b_step + column]; readable up to a whole vector of columns
  size_t b_step;
};

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

#define COPPICE_EACH_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5)

// Rows x (Vectors * kLanes) of c at (row, column); `columns` of them exist.
template <size_t Rows, size_t Vectors, class Finish>
inline void tile(const Product& p, size_t row, size_t column, size_t columns, const Finish& finish) {
  const float* b = p.b + column;
#define COPPICE_DECLARE(r)                                                 \
  Vec c##r##0 = splat(0), c##r##1 = splat(0), c##r##2 = splat(0), c##r##3 = splat(0); \
  const float* a##r = p.a + (row + (r < Rows ? r : 0)) * p.a_row;          \
  (void)c##r##0, (void)c##r##1, (void)c##r##2, (void)c##r##3, (void)a##r;
  COPPICE_EACH_ROW(COPPICE_DECLARE)
#undef COPPICE_DECLARE
  for (size_t step = 0; step < p.depth; ++step, b += p.b_step) {
    const size_t at = step * p.a_step;
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
#define COPPICE_FINISH(v)                                                          \
  if constexpr (Vectors > v) {                                                     \
    const size_t at = column + v * kLanes, left = columns - v * kLanes;            \
    if constexpr (Rows == 1) finish(row, at, left, c0##v);                         \
    if constexpr (Rows == 2) finish(row, at, left, c0##v, c1##v);                  \
    if constexpr (Rows == 3) finish(row, at, left, c0##v, c1##v, c2##v);           \
    if constexpr (Rows == 4) finish(row, at, left, c0##v, c1##v, c2##v, c3##v);    \
    if constexpr (Rows == 5) finish(row, at, left, c0##v, c1##v, c2##v, c3##v, c4##v); \
    if constexpr (Rows == 6) finish(row, at, left, c0##v, c1##v, c2##v, c3##v, c4##v, c5##v); \
  }
  COPPICE_FINISH(0)
  COPPICE_FINISH(1)
  COPPICE_FINISH(2)
  COPPICE_FINISH(3)
#undef COPPICE_FINISH
}
#undef COPPICE_EACH_ROW

template <size_t Vectors, class Finish>
inline void tile_columns(const Product& p, size_t rows, size_t column, size_t columns, const Finish& finish) {
  size_t row = 0;
  for (; row + kTileRows <= rows; row += kTileRows) tile<kTileRows, Vectors>(p, row, column, columns, finish);
  switch (rows - row) {
    case 5: return tile<5, Vectors>(p, row, column, columns, finish);
    case 4: return tile<4, Vectors>(p, row, column, columns, finish);
    case 3: return tile<3, Vectors>(p, row, column, columns, finish);
    case 2: return tile<2, Vectors>(p, row, column, columns, finish);
    case 1: return tile<1, Vectors>(p, row, column, columns, finish);
    default: return;
  }
}

// finish(a b) for rows x columns.
template <class Finish>
inline void multiply(const Product& p, size_t rows, size_t columns, const Finish& finish) {
  size_t column = 0;
  for (; columns - column > kPanel - kLanes && column < columns; column += kPanel) {
    tile_columns<kTileVectors>(p, rows, column, columns - column, finish);
  }
  switch ((columns - column + kLanes - 1) / kLanes) {
    case 3: return tile_columns<3>(p, rows, column, columns - column, finish);
    case 2: return tile_columns<2>(p, rows, column, columns - column, finish);
    case 1: return tile_columns<1>(p, rows, column, columns - column, finish);
    default: return;
  }
}
