// Bodies of int8_attention.h, for inclusion inside the anonymous namespace of one instruction set's source.

constexpr size_t kRows = rows_of<Int8Weights>();
// A body whose inputs are unsigned has 128 more in every byte of them. What the bytes of 0 are, of a query and of a weight 0..255:
constexpr int32_t kQueryOffset = COPPICE_UNSIGNED_INPUT ? 128 : 0, kWeightOffset = kQueryOffset - 128;
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
  int32_t* key_sum;     // of a key's bytes, where kQueryOffset is not 0
  char* values;         // [panels, steps, 16, 4]
  float* value_unit;    // [features in whole panels]
  int32_t* value_sum;   // of a feature's bytes, where kWeightOffset is not 0
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
    key_sum = reinterpret_cast<int32_t*>(take(key_panels));
    value_unit = take(value_panels);
    value_sum = reinterpret_cast<int32_t*>(take(value_panels));
    row = take(kSide * quantised_stride(dim) / sizeof(float));
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
  int32_t offset;
  float same;
  if (unit == unit) put_row(x, width, {unit, 1 / unit, 0}, 0, {q, &same, &offset}, [](Vec v, size_t) COPPICE_INLINE { return v; });
  return unit;
}

// The sums of the panels' columns.
inline void column_sums(const char* panels, size_t columns, size_t steps, int32_t* sums) {
  const int32_t ones = 0x01010101;
  for (size_t column = 0; column < columns; column += kLanes) {
    const char* b = panels + column / kWeightPanel * steps * kWeightPanel * 4 + column % kWeightPanel * 4;
    auto sum = Int8Weights::zero();
    const auto one = Int8Weights::spread(reinterpret_cast<const char*>(&ones));
    for (size_t step = 0; step < steps; ++step) Int8Weights::add(sum, one, Int8Weights::weights(b + step * kWeightPanel * 4));
    store(reinterpret_cast<float*>(sums + column), bits<Vec>(total(sum)));
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
      const uint32_t four = static_cast<uint32_t>(four_bytes(reinterpret_cast<const char*>(row) + byte_at(4 * step))) ^ (kQueryOffset * 0x01010101u);
      __builtin_memcpy(out + step * kWeightPanel * 4, &four, sizeof(four));
    }
  }
  if (kQueryOffset != 0) column_sums(p.keys, columns, steps, p.key_sum);
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
  if (kWeightOffset != 0) column_sums(p.values, columns, steps, p.value_sum);
}

// y of `rows` rows of bytes, of which those of 0 are `offset`: their products with panels of keys or values.
template <class Map>
inline void multiply(const Linear& panels, int8_t* q, float* unit, int32_t offset, size_t rows, Rows y, const Map& map) {
  int32_t offsets[kRows];
  for (int32_t& o : offsets) o = offset;
  multiply<Int8Weights, false>(panels, {{}, rows, Activation::kNone, {}, y}, {q, unit, offsets}, map);
}

// The logits of `rows` rows in units of log 2, and each row's largest. q: their bytes, unit: [rows].
inline void logits(const PackedHead& p, size_t columns, size_t dim, int8_t* q, float* unit, size_t rows, float* out, float* top) {
  Vec tops[kRows];
  // Not -inf: logits of -inf alone would give inf - inf.
  for (Vec& t : tops) t = splat(-__FLT_MAX__);
  const Linear keys{WeightType::kInt8, dim, columns, p.keys, p.key_unit, kQueryOffset != 0 ? p.key_sum : nullptr, p.addend};
  multiply(keys, q, unit, kQueryOffset, rows, {out, columns}, [&](Vec v, size_t row) COPPICE_INLINE {
    tops[row] = at_least(v, tops[row]);
    return v;
  });
  for (size_t r = 0; r < rows; ++r) top[r] = reduce(tops[r], at_least);
}

// A row's weights as bytes less 128 and, where kept, as they are in place of the logits, 255 times too large. Returns the sum of the former.
inline float weigh(float* logit, size_t columns, float top, bool keep, int8_t* q) {
  const Vec shift = splat(top - kLogTop);
  Bits even{}, odd{};  // unsigned: of a row that poison makes NaN they may pass their range
  Vec poison = splat(0);
  const auto weight = [&](size_t j) COPPICE_INLINE {
    const Vec e = exp2_within(at_least(load(logit + j) - shift, splat(-126)));
    if (keep) store(logit + j, e);
    if constexpr (!kNaNStays) poison += e * splat(0);
    return rounded(e);
  };
  size_t j = 0;
  for (; j + 4 * kLanes <= columns; j += 4 * kLanes) {
    const Ints w0 = weight(j), w1 = weight(j + kLanes), w2 = weight(j + 2 * kLanes), w3 = weight(j + 3 * kLanes);
    even += bits<Bits>(w0) + bits<Bits>(w1);
    odd += bits<Bits>(w2) + bits<Bits>(w3);
    put_bytes(w0, w1, w2, w3, -128, q + byte_at(j));
  }
  for (; j < columns; j += kLanes) {
    const Ints w = weight(j);
    even += bits<Bits>(w);
    put_bytes(w, -128, q + byte_at(j));
  }
  return sum(floats(bits<Ints>(even + odd)) + poison) + top * 0;
}

inline float total_weight(const float* weights, size_t tokens) {
  Vec total = splat(0);
  size_t j = 0;
  for (; j + kLanes <= tokens; j += kLanes) total += load(weights + j);
  return sum(total + load_part(weights + j, tokens - j));
}

// y of `rows` rows from `begin` on. p: their weights' bytes, factor: [rows].
inline void mix_values(const Attention& a, const PackedHead& packed, size_t head, int8_t* p, float* factor, size_t begin, size_t rows) {
  const Linear values{WeightType::kInt8, a.tokens, a.dim, packed.values, packed.value_unit, kWeightOffset != 0 ? packed.value_sum : nullptr, nullptr};
  const Rows y{a.y + (begin * a.heads + head) * a.dim, a.heads * a.dim};
  multiply(values, p, factor, kWeightOffset, rows, y, [](Vec v, size_t) COPPICE_INLINE { return v; });
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
  for (size_t r = 0; r < count; ++r) s.unit[r] = symmetric_row(token(a, row_token(a, row_begin + r), head), a.dim, s.q + row_at(r, a.dim));
  logits(p, columns, a.dim, s.q, s.unit, count, s.logit, s.top);
  for (size_t r = 0; r < count; ++r) {
    const bool of_class = class_row && row_begin + r == class_at;
    float* const weights = s.logit + r * columns;
    s.factor[r] = 1 / weigh(weights, columns, s.top[r], of_class || received, s.p + row_at(r, columns));
    if (!of_class && !received) continue;
    const float inverse = 1 / total_weight(weights, a.tokens);
    for (size_t j = 0; j < a.tokens && of_class; ++j) class_row[j] = inverse * weights[j];
    for (size_t j = 0; j < a.tokens && received; ++j) received[j] += inverse * weights[j];
  }
  mix_values(a, p, head, s.p, s.factor, row_begin, count);
}
