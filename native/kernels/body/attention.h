// Bodies of attention.h, for inclusion inside the anonymous namespace of one instruction set's source.

inline const float* query(const Attention& a, size_t token, size_t head) {
  return a.qkv + token * 3 * a.heads * a.dim + head * a.dim;
}
inline const float* key(const Attention& a, size_t token, size_t head) { return query(a, token, a.heads + head); }
inline const float* value(const Attention& a, size_t token, size_t head) { return query(a, token, 2 * a.heads + head); }
inline size_t row_token(const Attention& a, size_t row) {
  return a.query_index ? static_cast<size_t>(a.query_index[row]) : row;
}

// Values are read in place unless a row's last vector would reach past the buffer; then a head's values are copied
// into rows of whole vectors.
inline bool values_in_place(size_t dim) { return dim % kLanes == 0; }
inline size_t value_row(size_t dim) { return round_up(dim, kLanes); }

inline void copy_values(const Attention& a, size_t head, size_t begin, size_t end, float* out) {
  const size_t row = value_row(a.dim);
  for (size_t token = begin; token < end; ++token, out += row) {
    __builtin_memcpy(out, value(a, token, head), a.dim * sizeof(float));
    for (size_t i = a.dim; i < row; ++i) out[i] = 0;
  }
}

inline Vec feature(Vec x, FeatureMap map) {
  if (map == FeatureMap::kRelu) return x < splat(0) ? splat(0) : x;
  return x >= splat(0) ? x + splat(1) : exp_vec(x);
}

// out[i] = factor * phi(x[i])
inline void features(const float* x, size_t n, FeatureMap map, float factor, float* out) {
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(out + i, splat(factor) * feature(load(x + i), map));
  if (i < n) store_part(out + i, splat(factor) * feature(load_part(x + i, n - i), map), n - i);
}

inline float divisor(const LinearForm& form, size_t dim, float weight_sum) {
  switch (form.normalize) {
    case Normalize::kSqrtD: return __builtin_sqrtf(static_cast<float>(dim));
    case Normalize::kRowSum: return form.add_eps ? weight_sum + form.eps : (weight_sum < form.eps ? form.eps : weight_sum);
    default: return 1;
  }
}

// The tokens whose features are in cache while a summary accumulates.
constexpr size_t kTokenBlock = 256;

AttentionScratch scratch(size_t tokens, size_t dim, bool reweighted) {
  const size_t feature_count = (reweighted ? 2 : 1) * dim;
  const size_t panels = round_up(tokens, kPanel);
  const size_t block = tokens < kTokenBlock ? tokens : kTokenBlock;
  const size_t copied = values_in_place(dim) ? 0 : value_row(dim);
  const size_t summarise = block * (kFeatureTile + copied);
  const size_t linear_rows = kRowTile * (feature_count + 1);
  const size_t quadratic_rows = kRowTile * (panels + dim + 1);
  size_t worker = summarise > linear_rows ? summarise : linear_rows;
  worker = worker > quadratic_rows ? worker : quadratic_rows;
  return {feature_count * (value_row(dim) + 1), panels * dim + tokens * copied, worker};
}

// summary: [features, value_row(dim)] then the key sum [features].
void summarise(const Attention& a, const LinearForm& form, size_t head, size_t feature_begin, size_t feature_end,
               float* summary, float* worker) {
  const size_t row = value_row(a.dim), width = feature_end - feature_begin;
  const bool sine_part = feature_begin >= a.dim;
  const size_t first = sine_part ? feature_begin - a.dim : feature_begin;
  const float* wave = sine_part ? a.sine : a.cosine;
  const size_t feature_count = (a.cosine ? 2 : 1) * a.dim;
  float* key_sum = summary + feature_count * row + feature_begin;
  float* packed = worker;
  float* copied = worker + (a.tokens < kTokenBlock ? a.tokens : kTokenBlock) * kFeatureTile;
  for (size_t i = 0; i < width; ++i) key_sum[i] = 0;
  for (size_t begin = 0; begin < a.tokens; begin += kTokenBlock) {
    const size_t end = begin + kTokenBlock < a.tokens ? begin + kTokenBlock : a.tokens;
    for (size_t token = begin; token < end; ++token) {
      const float weight = (a.key_weight ? a.key_weight[token] : 1) * (wave ? wave[token] : 1);
      float* out = packed + (token - begin) * width;
      features(key(a, token, head) + first, width, form.feature_map, weight, out);
      for (size_t i = 0; i < width; ++i) key_sum[i] += out[i];
    }
    Product product{end - begin, packed, 1, width, value(a, begin, head), 3 * a.heads * a.dim,
                    summary + feature_begin * row, row, nullptr, begin > 0};
    if (!values_in_place(a.dim)) {
      copy_values(a, head, begin, end, copied);
      product.b = copied;
      product.b_step = row;
    }
    multiply(product, width, row);
  }
}

void linear_rows(const Attention& a, const LinearForm& form, size_t head, size_t row_begin, size_t row_end,
                 const float* summary, float* worker) {
  const size_t feature_count = (a.cosine ? 2 : 1) * a.dim, rows = row_end - row_begin;
  const float* key_sum = summary + feature_count * value_row(a.dim);
  float* packed = worker;
  float* row_scale = worker + rows * feature_count;
  for (size_t r = 0; r < rows; ++r) {
    const size_t token = row_token(a, row_begin + r);
    float* out = packed + r * feature_count;
    if (a.cosine) {
      features(query(a, token, head), a.dim, form.feature_map, 1, out);
      for (size_t i = 0; i < a.dim; ++i) {
        const float x = out[i];
        out[i] = x * a.cosine[token];
        out[a.dim + i] = x * a.sine[token];
      }
    } else {
      features(query(a, token, head), a.dim, form.feature_map, 1, out);
    }
    const float weight_sum = form.normalize == Normalize::kRowSum ? dot(out, key_sum, feature_count) : 0;
    row_scale[r] = 1 / divisor(form, a.dim, weight_sum);
  }
  multiply({feature_count, packed, feature_count, 1, summary, value_row(a.dim), a.y + row_begin * a.heads * a.dim + head * a.dim,
            a.heads * a.dim, row_scale, false},
           rows, a.dim);
}

// packed_keys: panels of kPanel tokens, each [dim, kPanel] with zeros past the last token, then copied values if any.
void pack_keys(const Attention& a, const LinearForm* form, size_t head, float* packed_keys) {
  for (size_t first = 0; first < a.tokens; first += kPanel) {
    float* panel = packed_keys + first * a.dim;
    for (size_t j = 0; j < kPanel; ++j) {
      const size_t token = first + j;
      if (token >= a.tokens) {
        for (size_t i = 0; i < a.dim; ++i) panel[i * kPanel + j] = 0;
        continue;
      }
      const float* k = key(a, token, head);
      if (form) {
        const float weight = a.key_weight ? a.key_weight[token] : 1;
        float mapped[kLanes];
        for (size_t i = 0; i < a.dim; i += kLanes) {
          const size_t n = a.dim - i < kLanes ? a.dim - i : kLanes;
          features(k + i, n, form->feature_map, weight, mapped);
          for (size_t l = 0; l < n; ++l) panel[(i + l) * kPanel + j] = mapped[l];
        }
      } else {
        for (size_t i = 0; i < a.dim; ++i) panel[i * kPanel + j] = k[i];
      }
    }
  }
  if (!values_in_place(a.dim)) copy_values(a, head, 0, a.tokens, packed_keys + round_up(a.tokens, kPanel) * a.dim);
}

// weights[rows, panels] = a b for the rows' (mapped) queries and all packed keys.
inline void row_weights(const Attention& a, const float* queries, size_t query_row, size_t rows, const float* packed_keys, float* weights) {
  const size_t panels = round_up(a.tokens, kPanel);
  for (size_t first = 0; first < panels; first += kPanel) {
    multiply({a.dim, queries, query_row, 1, packed_keys + first * a.dim, kPanel, weights + first, panels, nullptr, false}, rows, kPanel);
  }
}

inline void mix_values(const Attention& a, size_t head, size_t row_begin, size_t rows, const float* packed_keys, const float* weights,
                       const float* row_scale) {
  const size_t panels = round_up(a.tokens, kPanel);
  const bool in_place = values_in_place(a.dim);
  multiply({a.tokens, weights, panels, 1, in_place ? value(a, 0, head) : packed_keys + panels * a.dim,
            in_place ? 3 * a.heads * a.dim : value_row(a.dim), a.y + row_begin * a.heads * a.dim + head * a.dim, a.heads * a.dim, row_scale,
            false},
           rows, a.dim);
}

void quadratic_rows(const Attention& a, const LinearForm& form, size_t head, size_t row_begin, size_t row_end, const float* packed_keys,
                    float* worker) {
  const size_t rows = row_end - row_begin, panels = round_up(a.tokens, kPanel);
  float* weights = worker;
  float* queries = weights + kRowTile * panels;
  float* row_scale = queries + kRowTile * a.dim;
  for (size_t r = 0; r < rows; ++r) features(query(a, row_token(a, row_begin + r), head), a.dim, form.feature_map, 1, queries + r * a.dim);
  row_weights(a, queries, a.dim, rows, packed_keys, weights);
  for (size_t r = 0; r < rows; ++r) {
    float* w = weights + r * panels;
    const size_t token = row_token(a, row_begin + r);
    float total = 0;
    for (size_t j = 0; j < a.tokens; ++j) {
      if (a.cosine) w[j] *= a.cosine[token] * a.cosine[j] + a.sine[token] * a.sine[j];
      total += w[j];
    }
    row_scale[r] = 1 / divisor(form, a.dim, total);
  }
  mix_values(a, head, row_begin, rows, packed_keys, weights, row_scale);
}

// x[0..n) = exp(x - max x); returns the sum.
inline float exponentials(float* x, size_t n) {
  Vec top = splat(x[0]);
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Vec v = load(x + i);
    top = v > top ? v : top;
  }
  float max = lane(top, 0);
  for (size_t l = 1; l < kLanes; ++l) max = lane(top, l) > max ? lane(top, l) : max;
  for (; i < n; ++i) max = x[i] > max ? x[i] : max;
  // All logits -inf (every key has size 0): exp(-inf + inf) would be NaN where the sum of no weights is meant.
  if (max == -__builtin_inff()) max = 0;
  Vec total = splat(0);
  i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Vec e = exp_vec(load(x + i) - splat(max));
    store(x + i, e);
    total += e;
  }
  if (i < n) {
    store_part(x + i, exp_vec(load_part(x + i, n - i) - splat(max)), n - i);
    float rest = 0;
    for (; i < n; ++i) rest += x[i];
    return sum(total) + rest;
  }
  return sum(total);
}

void softmax_rows(const Attention& a, float scale, size_t head, size_t row_begin, size_t row_end, const float* packed_keys, float* class_row,
                  float* worker) {
  const size_t rows = row_end - row_begin, panels = round_up(a.tokens, kPanel);
  float* weights = worker;
  float* queries = weights + kRowTile * panels;
  float* row_scale = queries + kRowTile * a.dim;
  for (size_t r = 0; r < rows; ++r) {
    const float* q = query(a, row_token(a, row_begin + r), head);
    for (size_t i = 0; i < a.dim; ++i) queries[r * a.dim + i] = scale * q[i];
  }
  row_weights(a, queries, a.dim, rows, packed_keys, weights);
  for (size_t r = 0; r < rows; ++r) {
    float* w = weights + r * panels;
    if (a.key_weight) {
      for (size_t j = 0; j < a.tokens; ++j) w[j] += a.key_weight[j];
    }
    row_scale[r] = 1 / exponentials(w, a.tokens);
    if (class_row && row_token(a, row_begin + r) == 0) {
      for (size_t j = 0; j < a.tokens; ++j) class_row[j] = w[j] * row_scale[r];
    }
  }
  mix_values(a, head, row_begin, rows, packed_keys, weights, row_scale);
}

void class_attention(const Attention& a, float scale, size_t head, bool by_column, float* out) {
  const float* fixed = by_column ? key(a, 0, head) : query(a, 0, head);
  for (size_t j = 0; j < a.tokens; ++j) {
    out[j] = scale * dot(fixed, by_column ? query(a, j, head) : key(a, j, head), a.dim);
    if (a.key_weight) out[j] += a.key_weight[j];
  }
  const float factor = 1 / exponentials(out, a.tokens);
  for (size_t j = 0; j < a.tokens; ++j) out[j] *= factor;
}

void value_norms(const Attention& a, float* out) {
  const size_t width = a.heads * a.dim;
  for (size_t j = 0; j < a.tokens; ++j) out[j] = __builtin_sqrtf(dot(value(a, j, 0), value(a, j, 0), width));
}
