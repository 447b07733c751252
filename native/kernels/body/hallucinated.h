// Bodies of hallucinated.h, for inclusion inside the anonymous namespace of one instruction set's source.

inline size_t heads(const Hallucination& h) { return h.real + h.hallucinated; }
inline size_t row_width(const Hallucination& h) { return (2 * h.real + heads(h)) * h.dim; }
inline const float* query(const Hallucination& h, size_t token, size_t head) { return h.qkv + token * row_width(h) + head * h.dim; }
inline const float* key(const Hallucination& h, size_t token, size_t head) { return query(h, token, h.real + head); }
inline const float* value(const Hallucination& h, size_t token, size_t head) { return query(h, token, 2 * h.real + head); }

inline size_t halo(const Hallucination& h) { return h.dw && h.dw_kernel == 3 ? 1 : 0; }

// A map's row ends in zeros, at least one vector of them: what the convolution finds right of the map's border, and left
// of the border of the next row.
inline size_t map_row(size_t tokens) { return round_up(tokens, kPanel) + kLanes; }

// Rows of the real maps that are made at once: as many as leave them in a board's second-level cache.
inline size_t block_rows(const Hallucination& h) {
  constexpr size_t kCacheFloats = (512 << 10) / sizeof(float);
  size_t rows = 24;
  while (rows > 6 && h.real * (rows + 2) * map_row(h.tokens) > kCacheFloats) rows /= 2;
  return rows;
}

// Layer norm runs over the made maps of one row, so it needs them all.
inline size_t maps_at_once(const Hallucination& h) { return h.renorm == Renorm::kLayerNorm ? h.hallucinated : 1; }

// The most that one row of a made map is the sum of: every real map, and the eight neighbours in one of them.
struct Tap {
  const float* source;
  float weight;
};
inline size_t tap_floats(const Hallucination& h) { return (h.real + 9) * (sizeof(Tap) / sizeof(float)) + 1; }

inline size_t packed_head(const Hallucination& h) { return round_up(h.tokens, kPanel) * h.dim; }

HallucinationScratch scratch(const Hallucination& h) {
  const size_t rows = block_rows(h) + 2, row = map_row(h.tokens);
  const size_t copied = values_in_place(h.dim) ? 0 : heads(h) * h.tokens * value_row(h.dim);
  return {h.real * packed_head(h) + copied,
          tap_floats(h) + h.real * (kLanes + rows * row + rows) + maps_at_once(h) * rows * row + rows};
}

// Keys times 1 / sqrt(dim) in panels of kPanel tokens, each [dim, kPanel] with zeros past the last token.
void pack_head(const Hallucination& h, size_t head, float* packed) {
  if (head < h.real) {
    const float scale = 1 / __builtin_sqrtf(static_cast<float>(h.dim));
    for (size_t first = 0; first < h.tokens; first += kPanel) {
      float* panel = packed + head * packed_head(h) + first * h.dim;
      for (size_t j = 0; j < kPanel; ++j) {
        const float* k = first + j < h.tokens ? key(h, first + j, head) : nullptr;
        for (size_t i = 0; i < h.dim; ++i) panel[i * kPanel + j] = k ? scale * k[i] : 0;
      }
    }
  }
  if (values_in_place(h.dim)) return;
  const size_t row = value_row(h.dim);
  float* out = packed + h.real * packed_head(h) + head * h.tokens * row;
  for (size_t token = 0; token < h.tokens; ++token, out += row) {
    __builtin_memcpy(out, value(h, token, head), h.dim * sizeof(float));
    for (size_t i = h.dim; i < row; ++i) out[i] = 0;
  }
}

// out[0..n) = sum of weight * source over the taps; returns its sum. Sources are readable, out is writable, to whole vectors.
inline float combine(const Tap* taps, size_t count, size_t n, float* out) {
  Vec total = splat(0);
  size_t j = 0;
  for (; j + 4 * kLanes <= n; j += 4 * kLanes) {
    Vec s0 = splat(0), s1 = s0, s2 = s0, s3 = s0;
    for (size_t t = 0; t < count; ++t) {
      const Vec weight = splat(taps[t].weight);
      const float* source = taps[t].source + j;
      s0 += weight * load(source);
      s1 += weight * load(source + kLanes);
      s2 += weight * load(source + 2 * kLanes);
      s3 += weight * load(source + 3 * kLanes);
    }
    store(out + j, s0);
    store(out + j + kLanes, s1);
    store(out + j + 2 * kLanes, s2);
    store(out + j + 3 * kLanes, s3);
    total += (s0 + s1) + (s2 + s3);
  }
  for (; j < n; j += kLanes) {
    Vec s = splat(0);
    for (size_t t = 0; t < count; ++t) s += splat(taps[t].weight) * load(taps[t].source + j);
    store(out + j, s);
    total += n - j < kLanes ? part(s, n - j) : s;
  }
  return sum(total);
}

// Each column of maps[count] (map_stride apart): less its mean, over its standard deviation.
inline void layer_norm(float* maps, size_t map_stride, size_t count, size_t n, float eps) {
  const Vec share = splat(1 / static_cast<float>(count));
  for (size_t j = 0; j < n; j += kLanes) {
    Vec mean = splat(0), variance = splat(0);
    for (size_t m = 0; m < count; ++m) mean += load(maps + m * map_stride + j);
    mean *= share;
    for (size_t m = 0; m < count; ++m) {
      const Vec x = load(maps + m * map_stride + j) - mean;
      variance += x * x;
    }
    Vec factor = variance * share + splat(eps);
#if COPPICE_LANES == 1
    factor = 1 / __builtin_sqrtf(factor);
#else
    for (size_t l = 0; l < kLanes; ++l) factor[l] = 1 / __builtin_sqrtf(factor[l]);
#endif
    for (size_t m = 0; m < count; ++m) {
      float* x = maps + m * map_stride + j;
      store(x, (load(x) - mean) * factor);
    }
  }
}

// One call of rows: the real maps of rows base..computed-1 and what is made from them.
struct Block {
  const Hallucination& h;
  const float* packed;
  size_t row, rows;  // of a map in memory
  size_t base, computed;
  Tap* taps;
  float* real;       // [real][kLanes zeros, rows, row]: logits before the softmax, e^(logit - max) after it
  float* factor;     // [real, rows]: 1 / sum of each row
  float* made;       // [maps_at_once, rows, row]
  float* row_scale;  // [rows]

  Block(const Hallucination& h, const float* packed, size_t first, float* worker)
      : h(h), packed(packed), row(map_row(h.tokens)), rows(block_rows(h) + 2), base(first), computed(first) {
    // Floats and pointers share the scratch: the taps start at the first address that suits a pointer.
    const size_t odd = reinterpret_cast<uintptr_t>(worker) % alignof(Tap) / sizeof(float);
    taps = reinterpret_cast<Tap*>(worker + (odd ? alignof(Tap) / sizeof(float) - odd : 0));
    real = worker + tap_floats(h);
    factor = real + h.real * (kLanes + rows * row);
    made = factor + h.real * rows;
    row_scale = made + maps_at_once(h) * rows * row;
    for (size_t head = 0; head < h.real; ++head) {
      store(map(head) - kLanes, splat(0));
    }
  }

  float* map(size_t head) const { return real + head * (kLanes + rows * row) + kLanes; }
  float* map(size_t head, size_t token) const { return map(head) + (token - base) * row; }
  float* factors(size_t head, size_t token) const { return factor + head * rows + token - base; }

  // The real maps of the next `count` rows.
  void compute(size_t count) {
    for (size_t head = 0; head < h.real; ++head) {
      float* out = map(head, computed);
      for (size_t first = 0; first < h.tokens; first += kPanel) {
        const size_t left = round_up(h.tokens - first, kLanes);
        const Into logits{out + first, row};
        multiply({h.dim, query(h, computed, head), row_width(h), 1, packed + head * packed_head(h) + first * h.dim, kPanel}, count,
                 left < kPanel ? left : kPanel, [&](size_t r, size_t column, size_t some, auto... v) { (logits.put(r++, column, some, v), ...); });
      }
      for (size_t r = 0; r < count; ++r, out += row) {
        for (size_t j = h.tokens; j < row; ++j) out[j] = 0;
        if (!h.before_softmax) *factors(head, computed + r) = 1 / exponentials(out, h.tokens, out);
      }
    }
    computed += count;
  }

  // Forgets the rows before `token`.
  void slide(size_t token) {
    if (token <= base) return;
    for (size_t head = 0; head < h.real; ++head) {
      __builtin_memmove(map(head), map(head, token), (computed - token) * row * sizeof(float));
      __builtin_memmove(factor + head * rows, factors(head, token), (computed - token) * sizeof(float));
    }
    base = token;
  }

  // y of `count` rows of one head from its weights.
  void mix_values(size_t head, size_t begin, size_t count, const float* weights, const float* scale) const {
    const bool in_place = values_in_place(h.dim);
    const size_t width = heads(h) * h.dim;
    const Into y{h.y + begin * width + head * h.dim, width};
    multiply({h.tokens, weights, row, 1,
              in_place ? value(h, 0, head) : packed + h.real * packed_head(h) + head * h.tokens * value_row(h.dim),
              in_place ? row_width(h) : value_row(h.dim)},
             count, h.dim, [&](size_t r, size_t column, size_t left, auto... v) {
               ((y.put(r, column, left, scale ? v * splat(scale[r]) : v), ++r), ...);
             });
  }

  // What one row of a made map is the sum of. The centre of the convolution is one more weight of its real map.
  size_t list_taps(size_t number, size_t token) const {
    const size_t partner = number % h.real, side = h.dw_kernel, reach = side / 2;
    const float* dw = h.dw ? h.dw + number * side * side : nullptr;
    size_t count = 0;
    auto add = [&](size_t head, size_t from, const float* source, float weight) {
      taps[count++] = {source, h.before_softmax ? weight : weight * *factors(head, from)};
    };
    for (size_t head = 0; head < h.real; ++head) {
      const bool centre = dw && head == partner;
      if (!h.mix && !centre) continue;
      add(head, token, map(head, token), (h.mix ? h.mix[number * h.real + head] : 0) + (centre ? dw[reach * side + reach] : 0));
    }
    if (!dw || reach == 0) return count;
    for (size_t up = 0; up < 3; ++up) {
      if (token + up < 1 || token + up > h.tokens) continue;
      const size_t from = token + up - 1;
      for (size_t left = 0; left < 3; ++left) {
        if (up != 1 || left != 1) add(partner, from, map(partner, from) + left - 1, dw[up * 3 + left]);
      }
    }
    return count;
  }

  void emit_real(size_t head, size_t begin, size_t count) const {
    if (!h.before_softmax) return mix_values(head, begin, count, map(head, begin), factors(head, begin));
    for (size_t r = 0; r < count; ++r) row_scale[r] = 1 / exponentials(map(head, begin + r), h.tokens, made + r * row);
    mix_values(head, begin, count, made, row_scale);
  }

  void emit_made(size_t first, size_t begin, size_t count) const {
    const size_t maps = maps_at_once(h);
    const bool row_sum = h.renorm == Renorm::kRowSum;
    for (size_t r = 0; r < count; ++r) {
      for (size_t m = 0; m < maps; ++m) {
        const float total = combine(taps, list_taps(first + m, begin + r), h.tokens, made + (m * rows + r) * row);
        if (row_sum) row_scale[r] = 1 / (total < h.eps ? h.eps : total);
      }
      if (h.renorm == Renorm::kLayerNorm) layer_norm(made + r * row, rows * row, maps, h.tokens, h.eps);
    }
    for (size_t m = 0; m < maps; ++m) {
      float* weights = made + m * rows * row;
      for (size_t r = 0; r < count && h.before_softmax; ++r) {
        row_scale[r] = 1 / exponentials(weights + r * row, h.tokens, weights + r * row);
      }
      mix_values(h.real + first + m, begin, count, weights, h.before_softmax || row_sum ? row_scale : nullptr);
    }
  }
};

void rows(const Hallucination& h, size_t row_begin, size_t row_end, const float* packed, float* worker) {
  const size_t reach = halo(h);
  const size_t first = row_begin < reach ? 0 : row_begin - reach;
  const size_t last = row_end + reach < h.tokens ? row_end + reach : h.tokens;
  Block block(h, packed, first, worker);
  for (size_t emitted = row_begin; emitted < row_end;) {
    const size_t left = last - block.computed;
    block.compute(left < block.rows - 2 ? left : block.rows - 2);
    const size_t ready = block.computed == last ? row_end : block.computed - reach;
    for (size_t head = 0; head < h.real; ++head) block.emit_real(head, emitted, ready - emitted);
    for (size_t made = 0; made < h.hallucinated; made += maps_at_once(h)) block.emit_made(made, emitted, ready - emitted);
    emitted = ready;
    block.slide(emitted < reach ? 0 : emitted - reach);
  }
}
