// Bodies of patch_merger.h, for inclusion inside the anonymous namespace of one instruction set's source.

// Tokens are read in place unless they are normalised, or a row's last vector would reach past the buffer.
inline bool in_place(const PatchMerge& p) { return !p.layer_norm && p.width % kLanes == 0; }
inline size_t row_length(const PatchMerge& p) { return in_place(p) ? p.width : round_up(p.width, kLanes); }
inline size_t column_count(const PatchMerge& p) { return round_up(p.outputs, kLanes); }

PatchMergerScratch scratch(const PatchMerge& p) {
  return {p.width * column_count(p), in_place(p) ? 0 : p.tokens * row_length(p), p.tokens * column_count(p), column_count(p)};
}

void pack_weights(const PatchMerge& p, float* packed) {
  const size_t columns = column_count(p);
  for (size_t i = 0; i < p.width; ++i) {
    for (size_t m = 0; m < columns; ++m) packed[i * columns + m] = m < p.outputs ? p.scale * p.w[i * p.outputs + m] : 0;
  }
}

// x[0..n) = softmax of x[0..n); the rest of the row up to whole vectors is zero.
inline void softmax_row(float* x, size_t n, size_t columns) {
  float top = x[0], total = 0;
  for (size_t m = 1; m < n; ++m) top = x[m] > top ? x[m] : top;
  for (size_t m = 0; m < columns; m += kLanes) store(x + m, exp_negative(load(x + m) - splat(top)));
  for (size_t m = n; m < columns; ++m) x[m] = 0;
  for (size_t m = 0; m < n; ++m) total += x[m];
  for (size_t m = 0; m < n; ++m) x[m] /= total;
}

void token_logits(const PatchMerge& p, size_t token_begin, size_t token_end, const float* packed, float* rows, float* weights) {
  const size_t columns = column_count(p), row = row_length(p);
  const float* tokens = in_place(p) ? p.x : rows;
  for (size_t token = token_begin; token < token_end && !in_place(p); ++token) {
    const float* x = p.x + token * p.width;
    float* out = rows + token * row;
    if (p.layer_norm) {
      normalise_row(x, p.width, p.gamma, p.beta, p.eps, out);
    } else {
      __builtin_memcpy(out, x, p.width * sizeof(float));
    }
    for (size_t i = p.width; i < row; ++i) out[i] = 0;
  }
  const Into logits{weights + token_begin * columns, columns};
  multiply({p.width, tokens + token_begin * row, row, 1, packed, columns}, token_end - token_begin, columns,
           [&](size_t r, size_t column, size_t left, auto... v) { (logits.put(r++, column, left, v), ...); });
  for (size_t token = token_begin; token < token_end && p.over_outputs; ++token) softmax_row(weights + token * columns, p.outputs, columns);
}

void softmax_tokens(const PatchMerge& p, size_t column_begin, size_t column_end, float* weights, float* row_scale) {
  const size_t columns = column_count(p);
  for (size_t m = column_begin; m < column_end; m += kLanes) {
    if (p.over_outputs) {
      store(row_scale + m, splat(1));
      continue;
    }
    Vec top = load(weights + m), total = splat(0);
    for (size_t token = 1; token < p.tokens; ++token) {
      const Vec x = load(weights + token * columns + m);
      top = x > top ? x : top;
    }
    for (size_t token = 0; token < p.tokens; ++token) {
      const Vec e = exp_negative(load(weights + token * columns + m) - top);
      store(weights + token * columns + m, e);
      total += e;
    }
    store(row_scale + m, splat(1) / total);
  }
}

void mix_tokens(const PatchMerge& p, size_t begin, size_t end, const float* rows, const float* weights, const float* row_scale) {
  const float* tokens = in_place(p) ? p.x : rows;
  const Into y{p.y + begin, p.width};
  multiply<Lies::kByStep>({p.tokens, weights, 1, column_count(p), tokens + begin, row_length(p)}, p.outputs, end - begin,
           [&](size_t m, size_t column, size_t left, auto... v) { ((y.put(m, column, left, v * splat(row_scale[m])), ++m), ...); });
}
