// Bodies of int8_attention.h, for inclusion inside the anonymous namespace of one instruction set's source.

constexpr size_t kRows = rows_of<Int8Weights>();
// A body whose inputs are unsigned has 128 more in every byte of them.
constexpr int32_t kInputOffset = COPPICE_UNSIGNED_INPUT ? 128 : 0;
// log2 255: the largest weight of a row is 255.
constexpr float kLogTop = 7.99435344f;

inline const float* token(const Attention& a, size_t number, size_t head) { return a.qkv + number * 3 * a.heads * a.dim + head * a.dim; }
inline size_t row_token(const Attention& a, size_t row) { return a.query_index ? static_cast<size_t>(a.query_index[row]) : row; }

inline size_t whole_panels(size_t columns) { return round_up(columns, kWeightPanel); }
inline size_t groups_of_four(size_t depth) { return (depth + 3) / 4; }

// Keys and values as linear_tile multiplies by them: panels of 16 keys over features, and of 16 features over keys.
struct PackedHead {
  char* keys;           // [panels, steps, 16, 4]
  float* key_unit;      // [keys in whole panels]; times the scale and log2 e
  float* addend;        // times log2 e; -inf where there is no key
  int32_t* key_offset;  // what kInputOffset adds to a sum
  char* values;         // [panels, steps, 16, 4]
  float* value_unit;    // [features in whole panels]
  int32_t* value_offset;
  float* row;           // room for the bytes of one key
  size_t floats = 0;

  PackedHead(size_t tokens, size_t dim, float* memory) {
    const size_t key_panels = whole_panels(tokens), value_panels = whole_panels(dim);
    const auto take = [&](size_t count) {
      float* const at = memory ? memory + floats : nullptr;
      floats += count;
      return at;
    };
    keys = reinterpret_cast<char*>(take(key_panels * groups_of_four(dim)));
    values = reinterpret_cast<char*>(take(value_panels * groups_of_four(tokens)));
    key_unit = take(key_panels);
    addend = take(key_panels);
    key_offset = reinterpret_cast<int32_t*>(take(key_panels));
    value_unit = take(value_panels);
    value_offset = reinterpret_cast<int32_t*>(take(value_panels));
    row = take(quantised_stride(dim) / sizeof(float));
  }
};

// The larger of two magnitudes; an infinity exceeds all numbers and a NaN an infinity, as their bits do.
inline Vec larger(Vec x, Vec y) { return bits<Ints>(x) > bits<Ints>(y) ? x : y; }

// The unit of numbers whose largest magnitude is `largest`: NaN where that is no finite number.
template <class Value>
inline Value symmetric_unit(Value largest) {
  const Value exact = largest / 127.0f, one = Value{} + 1.0f, least = Value{} + 1.17549435e-38f;
  return (exact < least ? one : exact) + largest * 0.0f;
}

// x / unit as bytes that linear_tile takes for rows; those up to a multiple of four stand for 0. Returns the unit.
inline float symmetric_row(const float* x, size_t width, int8_t* q) {
  Vec largest = splat(0);
  size_t i = 0;
  for (; i + kLanes <= width; i += kLanes) largest = larger(magnitude(load(x + i)), largest);
  if (i < width) largest = larger(magnitude(load_part(x + i, width - i)), largest);
  const float unit = symmetric_unit(reduce(largest, larger));
  const bool finite = unit == unit;
  if (!finite || width % 4 != 0) __builtin_memset(q, kInputOffset, quantised_stride(width));
  int32_t offset;
  float same;
  if (finite) put_row(x, width, {unit, 1 / unit, 0}, 0, {q, &same, &offset}, [](Vec v, size_t) { return v; });
  return unit;
}

// factor times the sums of the panels' columns.
inline void column_sums(const char* panels, size_t columns, size_t steps, int32_t factor, int32_t* sums) {
  const int32_t ones = 0x01010101;
  for (size_t column = 0; column < columns; column += kLanes) {
    const char* b = panels + column / kWeightPanel * steps * kWeightPanel * 4 + column % kWeightPanel * 4;
    auto sum = Int8Weights::zero();
    const auto one = Int8Weights::spread(reinterpret_cast<const char*>(&ones));
    for (size_t step = 0; step < steps; ++step) Int8Weights::add(sum, one, Int8Weights::weights(b + step * kWeightPanel * 4));
    store(reinterpret_cast<float*>(sums + column), bits<Vec>(total(sum) * factor));
  }
}

void pack_keys(const Attention& a, float scale, size_t head, float* packed) {
  const PackedHead p(a.tokens, a.dim, packed);
  const size_t steps = groups_of_four(a.dim), columns = whole_panels(a.tokens);
  auto* const row = reinterpret_cast<int8_t*>(p.row);
  __builtin_memset(p.keys, 0, columns * steps * 4);
  for (size_t j = 0; j < columns; ++j) {
    p.key_unit[j] = 0;
    p.addend[j] = -__builtin_inff();
    if (j >= a.tokens) continue;
    p.key_unit[j] = kLog2E * scale * symmetric_row(token(a, j, a.heads + head), a.dim, row);
    p.addend[j] = a.key_weight ? kLog2E * a.key_weight[j] : 0;
    char* const out = p.keys + (j / kWeightPanel * steps * kWeightPanel + j % kWeightPanel) * 4;
    for (size_t step = 0; step < steps; ++step) {
      const uint32_t four = static_cast<uint32_t>(four_bytes(reinterpret_cast<const char*>(row) + step * 4 * kCopies)) ^ (kInputOffset * 0x01010101u);
      __builtin_memcpy(out + step * kWeightPanel * 4, &four, sizeof(four));
    }
  }
  if (kInputOffset) column_sums(p.keys, columns, steps, kInputOffset, p.key_offset);
}

void pack_values(const Attention& a, size_t head, float* packed) {
  const PackedHead p(a.tokens, a.dim, packed);
  const size_t steps = groups_of_four(a.tokens), stride = 3 * a.heads * a.dim, columns = whole_panels(a.dim);
  const float* const first = token(a, 0, 2 * a.heads + head);
  __builtin_memset(p.values, 0, columns * steps * 4);
  for (size_t column = 0; column < a.dim; column += kLanes) {
    const size_t left = a.dim - column;
    const auto at = [&](size_t j) { return j >= a.tokens ? splat(0) : left >= kLanes ? load(first + j * stride + column) : load_part(first + j * stride + column, left); };
    Vec largest = splat(0);
    for (size_t j = 0; j < a.tokens; ++j) largest = larger(magnitude(at(j)), largest);
    const Vec unit = symmetric_unit(largest), inverse = splat(1) / unit;
    store(p.value_unit + column, unit);
    char* out = p.values + column / kWeightPanel * steps * kWeightPanel * 4 + column % kWeightPanel * 4;
    for (size_t j = 0; j < a.tokens; j += 4, out += kWeightPanel * 4) {
      const auto byte = [&](size_t i) { return rounded(at(j + i) * inverse) & 255; };
      store(reinterpret_cast<float*>(out), bits<Vec>(byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24));
    }
  }
  column_sums(p.values, columns, steps, 128 - kInputOffset, p.value_offset);
}

// put(column, sums) for each vector of columns: the products of `rows` rows, `row` bytes apart, and of panels.
template <class Put>
inline void multiply(const int8_t* x, size_t row, const char* panels, size_t columns, size_t steps, size_t rows, const Put& put) {
  const size_t panel = steps * kWeightPanel * 4;
  Total<Int8Weights> sums[2 * kLinearRows];
  for (size_t column = 0; column < columns; column += 2 * kLanes) {
    const char* const b = panels + column / kWeightPanel * panel + column % kWeightPanel * 4;
    const LinearTile tile{reinterpret_cast<const char*>(x), row, b, kLanes == kWeightPanel ? panel : 4 * kLanes, steps};
    if (columns - column > kLanes) {
      linear_tile<Int8Weights, true>(tile, rows, sums);
      put(column, sums);
      put(column + kLanes, sums + kLinearRows);
    } else {
      linear_tile<Int8Weights, false>(tile, rows, sums);
      put(column, sums);
    }
  }
}

inline Ints load_ints(const int32_t* x) { return bits<Ints>(load(reinterpret_cast<const float*>(x))); }

// The logits of `rows` rows in units of log 2, and each row's largest. q: their bytes, unit: [rows].
inline void logits(const PackedHead& p, size_t columns, size_t dim, const int8_t* q, const float* unit, size_t rows, float* out, float* top) {
  Vec tops[kRows];
  // Not -inf: logits of -inf alone would give inf - inf.
  for (Vec& t : tops) t = splat(-__FLT_MAX__);
  multiply(q, quantised_stride(dim), p.keys, columns, groups_of_four(dim), rows, [&](size_t column, const Total<Int8Weights>* sums) {
    const Vec scale = load(p.key_unit + column), addend = load(p.addend + column);
    const Ints offset = kInputOffset ? load_ints(p.key_offset + column) : Ints{};
    for (size_t r = 0; r < rows; ++r) {
      const Vec v = floats(sums[r] - offset) * (splat(unit[r]) * scale) + addend;
      tops[r] = at_least(v, tops[r]);
      store(out + r * columns + column, v);
    }
  });
  for (size_t r = 0; r < rows; ++r) top[r] = reduce(tops[r], at_least);
}

// A row's weights as bytes less 128 and, where kept, as they are in place of the logits, 255 times too large. Returns the sum of the former.
inline float weigh(float* logit, size_t columns, float top, bool keep, int8_t* q) {
  const Vec shift = splat(top - kLogTop);
  Bits even{}, odd{};  // unsigned: of a row that poison makes NaN they may pass their range
  Vec poison = splat(0);
  const auto weight = [&](size_t j) {
    const Vec e = exp2_vec(load(logit + j) - shift);
    if (keep) store(logit + j, e);
    poison += e * splat(0);
    return rounded(e);
  };
  size_t j = 0;
#if COPPICE_LANES == 16
  for (; j + 4 * kLanes <= columns; j += 4 * kLanes) {
    const Ints w0 = weight(j), w1 = weight(j + kLanes), w2 = weight(j + 2 * kLanes), w3 = weight(j + 3 * kLanes);
    even += bits<Bits>(w0) + bits<Bits>(w1);
    odd += bits<Bits>(w2) + bits<Bits>(w3);
    put_group(w0, w1, w2, w3, -128, q + j);
  }
#endif
  for (; j < columns; j += kLanes) {
    const Ints w = weight(j);
    even += bits<Bits>(w);
    put_bytes(w, -128, q + j * kCopies);
  }
  return sum(floats(bits<Ints>(even + odd)) + poison);
}

inline float total_weight(const float* weights, size_t tokens) {
  Vec total = splat(0);
  size_t j = 0;
  for (; j + kLanes <= tokens; j += kLanes) total += load(weights + j);
  return sum(total + load_part(weights + j, tokens - j));
}

// y of `rows` rows from `begin` on. p: their weights' bytes, factor: [rows].
inline void mix_values(const Attention& a, const PackedHead& packed, size_t head, const int8_t* p, const float* factor, size_t begin, size_t rows) {
  float* const y = a.y + (begin * a.heads + head) * a.dim;
  multiply(p, quantised_stride(whole_panels(a.tokens)), packed.values, a.dim, groups_of_four(a.tokens), rows, [&](size_t column, const Total<Int8Weights>* sums) {
    const size_t left = a.dim - column;
    const Vec unit = load(packed.value_unit + column);
    const Ints offset = kInputOffset < 128 ? load_ints(packed.value_offset + column) : Ints{};
    for (size_t r = 0; r < rows; ++r) {
      const Vec v = floats(sums[r] + offset) * (splat(factor[r]) * unit);
      float* const out = y + r * a.heads * a.dim + column;
      if (left >= kLanes) {
        store(out, v);
      } else {
        store_part(out, v, left);
      }
    }
  });
}

// What a tile of rows works in.
struct RowScratch {
  int8_t *q, *p;
  float *logit, *unit, *top, *factor;
  size_t floats = 0;

  RowScratch(size_t tokens, size_t dim, float* memory) {
    const auto take = [&](size_t count) {
      float* const at = memory ? memory + floats : nullptr;
      floats += count;
      return at;
    };
    q = reinterpret_cast<int8_t*>(take(kRows * quantised_stride(dim) / sizeof(float)));
    p = reinterpret_cast<int8_t*>(take(kRows * quantised_stride(whole_panels(tokens)) / sizeof(float)));
    logit = take(kRows * whole_panels(tokens));
    unit = take(kRows);
    factor = take(kRows);
    top = take(kRows);
    floats = round_up(floats, 16);
  }
};

size_t packed(size_t tokens, size_t dim) { return PackedHead(tokens, dim, nullptr).floats; }
size_t scratch(size_t tokens, size_t dim) { return RowScratch(tokens, dim, nullptr).floats; }

void rows(const Attention& a, size_t head, size_t row_begin, size_t row_end, const float* packed, size_t class_at, float* class_row, float* received,
          float* memory) {
  const PackedHead p(a.tokens, a.dim, const_cast<float*>(packed));
  const RowScratch s(a.tokens, a.dim, memory);
  const size_t columns = whole_panels(a.tokens), count = row_end - row_begin;
  for (size_t r = 0; r < count; ++r) s.unit[r] = symmetric_row(token(a, row_token(a, row_begin + r), head), a.dim, s.q + r * quantised_stride(a.dim));
  logits(p, columns, a.dim, s.q, s.unit, count, s.logit, s.top);
  for (size_t r = 0; r < count; ++r) {
    const bool of_class = class_row && row_begin + r == class_at;
    float* const weights = s.logit + r * columns;
    s.factor[r] = 1 / weigh(weights, columns, s.top[r], of_class || received, s.p + r * quantised_stride(columns));
    if (!of_class && !received) continue;
    const float inverse = 1 / total_weight(weights, a.tokens);
    for (size_t j = 0; j < a.tokens && of_class; ++j) class_row[j] = inverse * weights[j];
    for (size_t j = 0; j < a.tokens && received; ++j) received[j] += inverse * weights[j];
  }
  mix_values(a, p, head, s.p, s.factor, row_begin, count);
}
