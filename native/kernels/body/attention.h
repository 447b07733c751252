// Bodies of attention.h, for inclusion inside the anonymous namespace of one instruction set's source.

inline const float* query(const Attention& a, size_t token, size_t head) {
  return a.qkv + token * 3 * a.heads * a.dim + head * a.dim;
}
inline const float* key(const Attention& a, size_t token, size_t head) { return query(a, token, a.heads + head); }
inline const float* value(const Attention& a, size_t token, size_t head) { return query(a, token, 2 * a.heads + head); }
inline size_t row_token(const Attention& a, size_t row) {
  return a.query_index ? static_cast<size_t>(a.query_index[row]) : row;
}

// Keys or values worked on at once.
constexpr size_t kTokenBlock = COPPICE_TOKEN_BLOCK;

struct Values {
  const float* first;
  size_t row;
};

inline Values value_block(const Attention& a, size_t head, size_t begin, size_t end, float* copy) {
  if (values_in_place(a.dim)) return {value(a, begin, head), 3 * a.heads * a.dim};
  const size_t row = value_row(a.dim);
  for (size_t token = begin; token < end; ++token) {
    float* out = copy + (token - begin) * row;
    __builtin_memcpy(out, value(a, token, head), a.dim * sizeof(float));
    for (size_t i = a.dim; i < row; ++i) out[i] = 0;
  }
  return {copy, row};
}

// A packed projection strides too far for the processor to foresee the next rows.
inline void prefetch_row(const float* x, size_t dim) {
  for (size_t i = 0; i < dim; i += 16) __builtin_prefetch(x + i);
}

inline Vec feature(Vec x, FeatureMap map) {
  const Vec positive = at_least(x, splat(0));
  switch (map) {
    case FeatureMap::kRelu: return positive;
    case FeatureMap::kElu1: return positive + exp_negative(at_most(x, splat(0)));
    default: return positive * positive * positive;
  }
}

// out[i] = factor * phi(x[i])
template <FeatureMap Map>
inline void features(const float* x, size_t n, float factor, float* out) {
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(out + i, splat(factor) * feature(load(x + i), Map));
  if (i < n) store_part(out + i, splat(factor) * feature(load_part(x + i, n - i), Map), n - i);
}

inline void features(const float* x, size_t n, FeatureMap map, float factor, float* out) {
  switch (map) {
    case FeatureMap::kRelu: return features<FeatureMap::kRelu>(x, n, factor, out);
    case FeatureMap::kElu1: return features<FeatureMap::kElu1>(x, n, factor, out);
    default: return features<FeatureMap::kReluPow3>(x, n, factor, out);
  }
}

inline void scaled(const float* x, size_t n, float factor, float* out) {
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(out + i, splat(factor) * load(x + i));
  for (; i < n; ++i) out[i] = factor * x[i];
}

inline float weight_of(const float* weights, size_t token) { return weights ? weights[token] : 1; }

// The factor of a row whose weights sum to `total`.
inline float row_factor(const LinearForm& form, size_t dim, float query_weight, float total) {
  switch (form.normalize) {
    case Normalize::kSqrtD: return query_weight / __builtin_sqrtf(static_cast<float>(dim));
    case Normalize::kRowSum: {
      const float sum = query_weight * total;
      return query_weight / (form.add_eps ? sum + form.eps : (sum < form.eps ? form.eps : sum));
    }
    default: return query_weight;
  }
}

inline size_t wave_count(size_t waves) { return waves ? waves : 1; }

AttentionScratch scratch(size_t dim, size_t waves) {
  const size_t feature_count = wave_count(waves) * dim;
  const size_t copied = values_in_place(dim) ? 0 : kTokenBlock * value_row(dim);
  const size_t summarise = 2 * kTokenBlock * kFeatureTile + copied;
  const size_t linear_rows = kRowTile * (feature_count + 1);
  const size_t row_width = round_up(kRowTile, kLanes);
  // Queries, weights of a block of keys, mapped keys, four mapped queries, shift, sum, row factors.
  const size_t pairs = dim * row_width + kTokenBlock * (row_width + dim) + 4 * dim + (3 + waves) * row_width + copied;
  size_t worker = summarise > linear_rows ? summarise : linear_rows;
  worker = worker > pairs ? worker : pairs;
  return {feature_count * (value_row(dim) + 1), worker};
}

// summary: [waves, dim, value_row(dim)] then the key sum [waves, dim].
void summarise(const Attention& a, const LinearForm& form, size_t head, size_t feature_begin, size_t feature_end, float* summary,
               float* worker) {
  const size_t row = value_row(a.dim), width = feature_end - feature_begin, waves = wave_count(form.waves.count);
  float* const mapped = worker;
  float* const waved = mapped + kTokenBlock * kFeatureTile;
  float* const copied = waved + kTokenBlock * kFeatureTile;
  float* const key_sums = summary + waves * a.dim * row + feature_begin;
  for (size_t begin = 0; begin < a.tokens; begin += kTokenBlock) {
    const size_t end = begin + kTokenBlock < a.tokens ? begin + kTokenBlock : a.tokens, count = end - begin;
    for (size_t t = 0; t < count; ++t) {
      const float* k = key(a, begin + t, head) + feature_begin;
      prefetch_row(k + kTokenBlock * 3 * a.heads * a.dim, width);
      prefetch_row(value(a, begin + t, head) + kTokenBlock * 3 * a.heads * a.dim, a.dim);
      features(k, width, form.feature_map, weight_of(a.key_weight, begin + t), mapped + t * width);
    }
    const Values values = value_block(a, head, begin, end, copied);
    for (size_t wave = 0; wave < waves; ++wave) {
      const float* packed = mapped;
      if (form.waves.count) {
        const float* factor = form.waves.key + wave * a.tokens + begin;
        for (size_t t = 0; t < count; ++t) scaled(mapped + t * width, width, factor[t], waved + t * width);
        packed = waved;
      }
      float* key_sum = key_sums + wave * a.dim;
      const auto add_column = [&](size_t i, size_t n) {
        Vec total = begin == 0 ? splat(0) : n == kLanes ? load(key_sum + i) : load_part(key_sum + i, n);
        for (size_t t = 0; t < count; ++t) total += n == kLanes ? load(packed + t * width + i) : load_part(packed + t * width + i, n);
        if (n == kLanes) {
          store(key_sum + i, total);
        } else {
          store_part(key_sum + i, total, n);
        }
      };
      for (size_t i = 0; i < width; i += kLanes) add_column(i, width - i < kLanes ? width - i : kLanes);
      const Into sum{summary + (wave * a.dim + feature_begin) * row, row};
      multiply<Lies::kByStep>({count, packed, 1, width, values.first, values.row}, width, row, [&](size_t r, size_t column, size_t left, auto... v) {
        ((sum.put(r, column, left, begin == 0 ? v : sum.present(r, column, left) + v), ++r), ...);
      });
    }
  }
}

void linear_rows(const Attention& a, const LinearForm& form, size_t head, size_t row_begin, size_t row_end, const float* summary,
                 float* worker) {
  const size_t waves = wave_count(form.waves.count), feature_count = waves * a.dim, rows = row_end - row_begin;
  const float* key_sum = summary + feature_count * value_row(a.dim);
  float* const packed = worker;
  float* const factor = worker + rows * feature_count;
  for (size_t r = 0; r < rows; ++r) {
    const size_t token = row_token(a, row_begin + r);
    prefetch_row(query(a, token, head) + 8 * 3 * a.heads * a.dim, a.dim);
    float* out = packed + r * feature_count;
    features(query(a, token, head), a.dim, form.feature_map, 1, out);
    // The last wave first: the others are made from the first one's place.
    for (size_t wave = form.waves.count; wave-- > 0;) {
      scaled(out, a.dim, form.waves.query[wave * a.tokens + token], out + wave * a.dim);
    }
    const float total = form.normalize == Normalize::kRowSum ? dot(out, key_sum, feature_count) : 0;
    factor[r] = row_factor(form, a.dim, weight_of(form.query_weight, token), total);
  }
  const Into y{a.y + row_begin * a.heads * a.dim + head * a.dim, a.heads * a.dim};
  multiply({feature_count, packed, feature_count, 1, summary, value_row(a.dim)}, rows, a.dim,
           [&](size_t r, size_t column, size_t left, auto... v) { ((y.put(r, column, left, v * splat(factor[r])), ++r), ...); });
}

// A tile of query rows against blocks of keys. Weights stand key by key, so that a vector holds one key's weights of
// several rows: sums and shifts of rows need no work across lanes, and keys are read where they lie.
struct PairTile {
  size_t rows, width;  // width: rows in whole vectors; the surplus repeats nothing and is never stored
  float* queries;      // [dim, width]
  float* weights;      // [kTokenBlock, width]
  float* mapped;       // [kTokenBlock, dim] keys
  float* shift;        // [width]
  float* sum;          // [width]
  float* wave;         // [waves + 1, width]
  float* copied;
};

#if COPPICE_LANES > 1
typedef float Quad __attribute__((vector_size(16)));
typedef float UnalignedQuad __attribute__((vector_size(16), aligned(4), may_alias));
inline Quad load_quad(const float* p) { return *reinterpret_cast<const UnalignedQuad*>(p); }
inline void store_quad(float* p, Quad q) { *reinterpret_cast<UnalignedQuad*>(p) = q; }
// out[i * width + r] = rows[r * dim + i] for four rows.
inline void transpose_four(const float* rows, size_t dim, size_t width, float* out) {
  size_t i = 0;
  for (; i + 4 <= dim; i += 4) {
    const Quad a = load_quad(rows + i), b = load_quad(rows + dim + i), c = load_quad(rows + 2 * dim + i), d = load_quad(rows + 3 * dim + i);
    const Quad ab_low = COPPICE_SHUFFLE(a, b, 0, 4, 1, 5), ab_high = COPPICE_SHUFFLE(a, b, 2, 6, 3, 7);
    const Quad cd_low = COPPICE_SHUFFLE(c, d, 0, 4, 1, 5), cd_high = COPPICE_SHUFFLE(c, d, 2, 6, 3, 7);
    store_quad(out + i * width, COPPICE_SHUFFLE(ab_low, cd_low, 0, 1, 4, 5));
    store_quad(out + (i + 1) * width, COPPICE_SHUFFLE(ab_low, cd_low, 2, 3, 6, 7));
    store_quad(out + (i + 2) * width, COPPICE_SHUFFLE(ab_high, cd_high, 0, 1, 4, 5));
    store_quad(out + (i + 3) * width, COPPICE_SHUFFLE(ab_high, cd_high, 2, 3, 6, 7));
  }
  for (; i < dim; ++i) {
    for (size_t r = 0; r < 4; ++r) out[i * width + r] = rows[r * dim + i];
  }
}
constexpr size_t kTransposed = 4;
#else
inline void transpose_four(const float* rows, size_t dim, size_t width, float* out) {
  for (size_t i = 0; i < dim; ++i) out[i * width] = rows[i];
}
constexpr size_t kTransposed = 1;
#endif

// map(token, out) writes a token's [dim] queries as the product wants them.
template <class Map>
inline PairTile pair_tile(const Attention& a, size_t row_begin, size_t row_end, size_t waves, float* worker, const Map& map) {
  PairTile t;
  t.rows = row_end - row_begin;
  t.width = round_up(t.rows, kLanes);
  t.queries = worker;
  t.weights = t.queries + a.dim * t.width;
  t.mapped = t.weights + kTokenBlock * t.width;
  t.shift = t.mapped + kTokenBlock * a.dim;
  t.sum = t.shift + t.width;
  t.wave = t.sum + t.width;
  float* four = t.wave + (waves + 1) * t.width;
  t.copied = four + 4 * a.dim;
  for (size_t r = 0; r < t.width; r += kTransposed) {
    for (size_t i = 0; i < kTransposed; ++i) {
      float* out = four + i * a.dim;
      if (r + i < t.rows) {
        map(row_token(a, row_begin + r + i), out);
      } else {
        for (size_t j = 0; j < a.dim; ++j) out[j] = 0;
      }
    }
    transpose_four(four, a.dim, t.width, t.queries + r);
  }
  for (size_t r = 0; r < t.width; r += kLanes) store(t.sum + r, splat(0));
  return t;
}

// y (+)= weights^T v for the keys begin..end; the last block multiplies each row by its factor.
inline void mix_values(const Attention& a, const PairTile& t, size_t head, size_t row_begin, size_t begin, size_t end, const float* factor) {
  const Values values = value_block(a, head, begin, end, t.copied);
  const Into y{a.y + row_begin * a.heads * a.dim + head * a.dim, a.heads * a.dim};
  const bool last = end == a.tokens;
  const auto add = [&](size_t r, size_t column, size_t left, Vec v) {
    if (begin > 0) v += y.present(r, column, left);
    y.put(r, column, left, last ? v * splat(factor[r]) : v);
  };
  multiply<Lies::kByStep>({end - begin, t.weights, 1, t.width, values.first, values.row}, t.rows, a.dim,
           [&](size_t r, size_t column, size_t left, auto... v) { (add(r++, column, left, v), ...); });
}

void quadratic_rows(const Attention& a, const LinearForm& form, size_t head, size_t row_begin, size_t row_end, float* worker) {
  const Waves& waves = form.waves;
  const PairTile t = pair_tile(a, row_begin, row_end, waves.count, worker,
                               [&](size_t token, float* out) { features(query(a, token, head), a.dim, form.feature_map, 1, out); });
  for (size_t wave = 0; wave < waves.count; ++wave) {
    float* out = t.wave + wave * t.width;
    for (size_t r = 0; r < t.width; ++r) out[r] = r < t.rows ? waves.query[wave * a.tokens + row_token(a, row_begin + r)] : 0;
  }
  float* factor = t.wave + waves.count * t.width;
  for (size_t begin = 0; begin < a.tokens; begin += kTokenBlock) {
    const size_t end = begin + kTokenBlock < a.tokens ? begin + kTokenBlock : a.tokens;
    for (size_t j = begin; j < end; ++j) {
      features(key(a, j, head), a.dim, form.feature_map, weight_of(a.key_weight, j), t.mapped + (j - begin) * a.dim);
    }
    const auto reweighted = [&](size_t j, size_t r, Vec v) {
      if (waves.count) {
        Vec wave = splat(0);
        for (size_t w = 0; w < waves.count; ++w) wave += splat(waves.key[w * a.tokens + begin + j]) * load(t.wave + w * t.width + r);
        v *= wave;
      }
      store(t.weights + j * t.width + r, v);
      return v;
    };
    multiply({a.dim, t.mapped, a.dim, 1, t.queries, t.width}, end - begin, t.width, [&](size_t j, size_t r, size_t, auto... v) {
      Vec sum = load(t.sum + r);
      ((sum += reweighted(j++, r, v)), ...);
      store(t.sum + r, sum);
    });
    if (end == a.tokens) {
      for (size_t r = 0; r < t.rows; ++r) {
        factor[r] = row_factor(form, a.dim, weight_of(form.query_weight, row_token(a, row_begin + r)), t.sum[r]);
      }
    }
    mix_values(a, t, head, row_begin, begin, end, factor);
  }
}

// finish(key - begin, row, logit...) of some keys, in units of log 2, for keys begin..end.
template <class Finish>
inline void logits(const Attention& a, const PairTile& t, size_t head, size_t begin, size_t end, const Finish& finish) {
  multiply({a.dim, key(a, begin, head), 3 * a.heads * a.dim, 1, t.queries, t.width}, end - begin, t.width,
           [&](size_t j, size_t r, size_t, auto... v) {
             if (a.key_weight) {
               const float* weight = a.key_weight + begin + j;
               ((v += splat(kLog2E * *weight++)), ...);
             }
             finish(j, r, v...);
           });
}

// shift[row] = the largest logit of the keys begin..end, or of those and the present shift. Leaves the logits as weights.
inline void raise_shift(const Attention& a, const PairTile& t, size_t head, size_t begin, size_t end, bool first) {
  // Not -inf: keys of size 0 alone would give inf - inf, where the sum of no weights is meant.
  for (size_t r = 0; r < t.width && first; r += kLanes) store(t.shift + r, splat(-1e30f));
  logits(a, t, head, begin, end, [&](size_t j, size_t r, auto... v) {
    Vec top = load(t.shift + r);
    ((top = at_least(v, top)), ...);
    store(t.shift + r, top);
    (store(t.weights + j++ * t.width + r, v), ...);
  });
}

// The weights of keys begin..end.
inline void soften(const Attention& a, const PairTile& t, size_t head, size_t begin, size_t end) {
  logits(a, t, head, begin, end, [&](size_t j, size_t r, auto... v) {
    const Vec shift = load(t.shift + r);
    Vec sum = load(t.sum + r);
    ((v = exp2_vec(v - shift), store(t.weights + j++ * t.width + r, v), sum += v), ...);
    store(t.sum + r, sum);
  });
}

// The weights of the first keys from the logits that raise_shift has left.
inline void soften_first(const PairTile& t, size_t keys) {
  for (size_t r = 0; r < t.width; r += kLanes) {
    const Vec shift = load(t.shift + r);
    Vec sum = splat(0);
    for (size_t j = 0; j < keys; ++j) {
      const Vec weight = exp2_vec(load(t.weights + j * t.width + r) - shift);
      store(t.weights + j * t.width + r, weight);
      sum += weight;
    }
    store(t.sum + r, sum);
  }
}

// A row's weights are relative to the largest logit of its first block of keys. Where a later key exceeds that by a factor
// of 2^30 the tile is done again with the exact maximum: float32 could overflow in the sums.
constexpr float kSumLimit = 1073741824.0f;

void softmax_rows(const Attention& a, float scale, size_t head, size_t row_begin, size_t row_end, float* class_row,
                  const RowStatistics& statistics, float* worker) {
  const PairTile t = pair_tile(a, row_begin, row_end, 0, worker,
                               [&](size_t token, float* out) { scaled(query(a, token, head), a.dim, kLog2E * scale, out); });
  float* factor = t.wave;
  const size_t first_end = kTokenBlock < a.tokens ? kTokenBlock : a.tokens;
  // One block holds all keys, or the shifts have been raised to the maximum of all.
  bool exact = first_end == a.tokens, redone = false;
  // Of several rows of token 0 the first gives the class row.
  size_t class_at = class_row ? 0 : t.rows;
  while (class_at < t.rows && row_token(a, row_begin + class_at) != 0) ++class_at;
  raise_shift(a, t, head, 0, first_end, true);
  for (;;) {
    for (size_t begin = 0; begin < a.tokens; begin += kTokenBlock) {
      const size_t end = begin + kTokenBlock < a.tokens ? begin + kTokenBlock : a.tokens;
      if (begin == 0 && !redone) {
        soften_first(t, end);
      } else {
        soften(a, t, head, begin, end);
      }
      if (end == a.tokens) {
        for (size_t r = 0; r < t.rows; ++r) factor[r] = 1 / t.sum[r];
      }
      for (size_t j = begin; j < end && class_at < t.rows; ++j) class_row[j] = t.weights[(j - begin) * t.width + class_at];
      mix_values(a, t, head, row_begin, begin, end, factor);
    }
    bool fits = true;
    for (size_t r = 0; r < t.rows; ++r) fits = fits && t.sum[r] <= kSumLimit;
    if (fits || exact) break;
    exact = redone = true;
    for (size_t begin = kTokenBlock; begin < a.tokens; begin += kTokenBlock) {
      raise_shift(a, t, head, begin, begin + kTokenBlock < a.tokens ? begin + kTokenBlock : a.tokens, false);
    }
    for (size_t r = 0; r < t.width; r += kLanes) store(t.sum + r, splat(0));
  }
  if (class_at < t.rows) scaled(class_row, a.tokens, factor[class_at], class_row);
  for (size_t r = 0; r < t.rows && statistics.shift; ++r) {
    statistics.shift[row_begin + r] = t.shift[r];
    statistics.sum[row_begin + r] = t.sum[r];
  }
}

void received(const Attention& a, float scale, size_t head, size_t key_begin, size_t key_end, const RowStatistics& statistics, float* out,
              float* worker) {
  for (size_t row_begin = 0; row_begin < a.rows; row_begin += kRowTile) {
    const size_t row_end = row_begin + kRowTile < a.rows ? row_begin + kRowTile : a.rows;
    const PairTile t = pair_tile(a, row_begin, row_end, 0, worker,
                                 [&](size_t token, float* q) { scaled(query(a, token, head), a.dim, kLog2E * scale, q); });
    float* factor = t.wave;
    for (size_t r = 0; r < t.width; ++r) t.shift[r] = r < t.rows ? statistics.shift[row_begin + r] : 0;
    for (size_t r = 0; r < t.rows; ++r) factor[r] = 1 / statistics.sum[row_begin + r];
    soften(a, t, head, key_begin, key_end);
    for (size_t j = key_begin; j < key_end; ++j) out[j] += dot(t.weights + (j - key_begin) * t.width, factor, t.rows);
  }
}

void class_attention(const Attention& a, float scale, size_t head, bool by_column, float* out) {
  const float* fixed = by_column ? key(a, 0, head) : query(a, 0, head);
  for (size_t j = 0; j < a.tokens; ++j) {
    out[j] = scale * dot(fixed, by_column ? query(a, j, head) : key(a, j, head), a.dim);
    if (a.key_weight) out[j] += a.key_weight[j];
  }
  scaled(out, a.tokens, 1 / exponentials(out, a.tokens, out), out);
}

void value_norms(const Attention& a, float* out) {
  const size_t width = a.heads * a.dim;
  for (size_t j = 0; j < a.tokens; ++j) out[j] = __builtin_sqrtf(dot(value(a, j, 0), value(a, j, 0), width));
}

void cube_factors(const Attention& a, bool keys, float* out) {
  const size_t width = a.heads * a.dim;
  for (size_t j = 0; j < a.tokens; ++j) {
    const float* x = keys ? key(a, j, 0) : query(a, j, 0);
    float squares = 0, sixths = 0;
    for (size_t i = 0; i < width; ++i) {
      const float positive = x[i] < 0 ? 0 : x[i], square = positive * positive;
      squares += square;
      sixths += square * square * square;
    }
    out[j] = sixths == 0 ? 0 : __builtin_sqrtf(squares / sixths);
  }
}
