// Bodies of image.h, for inclusion inside the anonymous namespace of one instruction set's source.
//
// The horizontal pass takes kRows picture rows at once and turns them, so that a vector holds one column, one row a lane:
// every tap is then a multiply-add with a weight that all lanes share, whatever the weights' alignment.
// On x86 a lane holds a pair of neighbouring columns in 16 bits each, and a weight is two parts of 12 bits: two vpmaddwd for
// two taps. Pairs of 16 bits: 1.14 over vpmulld on columns of 32 bits on Zen 4, the pass of 1920x1080 to 224, 2026-11.

constexpr size_t kRowVectors = COPPICE_ROW_VECTORS;
constexpr size_t kRows = kRowVectors * kLanes;
constexpr size_t kChunk = 16;                       // bytes of a row that are turned at once
constexpr size_t kSpanVectors = 4, kSpan = kSpanVectors * kLanes;  // bytes of a row that the vertical pass sums at once

#if COPPICE_LANES == 1
using IntVec = int32_t;
inline IntVec load_ints(const int32_t* p) { return *p; }
inline void store_ints(int32_t* p, IntVec v) { *p = v; }
inline IntVec splat_int(int32_t x) { return x; }
#else
typedef int32_t IntVec __attribute__((vector_size(COPPICE_LANES * 4)));
typedef int32_t UnalignedIntVec __attribute__((vector_size(COPPICE_LANES * 4), aligned(4), may_alias));
inline IntVec load_ints(const int32_t* p) { return *reinterpret_cast<const UnalignedIntVec*>(p); }
inline void store_ints(int32_t* p, IntVec v) { *reinterpret_cast<UnalignedIntVec*>(p) = v; }
inline IntVec splat_int(int32_t x) { return x - IntVec{}; }
#endif

// out[0..16) = bytes[0..16)
inline void widen(const uint8_t* bytes, int32_t* out) {
#if COPPICE_LANES == 16
  // The unmasked form trips gcc 12's -Wmaybe-uninitialized; the code is the same.
  const __m128i narrow = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
  store_ints(out, bits<IntVec>(_mm512_maskz_cvtepu8_epi32(0xffff, narrow)));
#elif COPPICE_LANES == 8
  for (size_t i = 0; i < 16; i += 8) {
    store_ints(out + i, bits<IntVec>(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes + i)))));
  }
#elif COPPICE_LANES == 4
  const uint8x16_t all = vld1q_u8(bytes);
  const uint16x8_t low = vmovl_u8(vget_low_u8(all)), high = vmovl_high_u8(all);
  store_ints(out, bits<IntVec>(vmovl_u16(vget_low_u16(low))));
  store_ints(out + 4, bits<IntVec>(vmovl_high_u16(low)));
  store_ints(out + 8, bits<IntVec>(vmovl_u16(vget_low_u16(high))));
  store_ints(out + 12, bits<IntVec>(vmovl_high_u16(high)));
#else
  for (size_t i = 0; i < 16; ++i) out[i] = bytes[i];
#endif
}

inline IntVec rounded(IntVec sum) {
  const IntVec level = sum >> kWeightBits, zero = splat_int(0), top = splat_int(255);
  const IntVec positive = level > zero ? level : zero;
  return positive < top ? positive : top;
}

inline void store_levels(uint8_t* p, IntVec levels) {
#if COPPICE_LANES == 1
  *p = static_cast<uint8_t>(levels);
#elif COPPICE_LANES == 4
  const uint16x4_t halves = vmovn_u32(bits<uint32x4_t>(levels));
  vst1_lane_u32(reinterpret_cast<uint32_t*>(p), vreinterpret_u32_u8(vmovn_u16(vcombine_u16(halves, halves))), 0);
#elif COPPICE_LANES == 8
  const __m256i all = bits<__m256i>(levels);
  const __m128i halves = _mm_packus_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(halves, halves));
#else
  typedef uint8_t LaneBytes __attribute__((vector_size(COPPICE_LANES)));
  const LaneBytes bytes = __builtin_convertvector(levels, LaneBytes);
  __builtin_memcpy(p, &bytes, kLanes);
#endif
}

#if COPPICE_LANES > 1
typedef uint8_t Bytes __attribute__((vector_size(16)));
typedef uint8_t UnalignedBytes __attribute__((vector_size(16), aligned(1), may_alias));
inline Bytes load_bytes(const uint8_t* p) { return *reinterpret_cast<const UnalignedBytes*>(p); }
inline void store_bytes(uint8_t* p, Bytes v) { *reinterpret_cast<UnalignedBytes*>(p) = v; }

// One step of the perfect shuffle of kRows vectors: as one array of bytes, the byte at address a goes to a rotated left by
// one bit. log2(kRows) steps turn rows of 16 bytes into 16 columns of kRows bytes; 4 steps turn columns back into rows.
inline void shuffle_step(Bytes (&v)[kRows]) {
  Bytes next[kRows];
#pragma GCC unroll 16
  for (size_t i = 0; i < kRows / 2; ++i) {
    next[2 * i] = __builtin_shufflevector(v[i], v[i + kRows / 2], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    next[2 * i + 1] = __builtin_shufflevector(v[i], v[i + kRows / 2], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  }
#pragma GCC unroll 16
  for (size_t i = 0; i < kRows; ++i) v[i] = next[i];
}
#endif

#if COPPICE_LANES > 1
// Bytes begin..begin+16 of kRows rows, which are `bytes` long: turned[byte][row].
inline void turn_chunk(const uint8_t* const (&rows)[kRows], size_t begin, size_t bytes, uint8_t* turned) {
  Bytes v[kRows];
  if (begin + kChunk <= bytes) {
#pragma GCC unroll 16
    for (size_t r = 0; r < kRows; ++r) v[r] = load_bytes(rows[r] + begin);
  } else {  // nothing past a row's end is read: the last row may end where the picture's memory does
    for (size_t r = 0; r < kRows; ++r) {
      uint8_t rest[kChunk] = {};
      if (begin < bytes) __builtin_memcpy(rest, rows[r] + begin, bytes - begin);
      v[r] = load_bytes(rest);
    }
  }
  for (size_t n = 1; n < kRows; n *= 2) shuffle_step(v);
#pragma GCC unroll 16
  for (size_t r = 0; r < kRows; ++r) store_bytes(turned + r * 16, v[r]);
}
#endif

// A column's place among the turned ones; pixels in groups of kTogether share a lane.
#if COPPICE_LANES >= 8
constexpr size_t kTogether = 2;
#else
constexpr size_t kTogether = 1;
#endif

#if COPPICE_LANES > 1
// 16 pixels of one channel, `step` turned columns apart, to columns[group][channel of 3][row].
inline void widen_columns(const uint8_t* turned, size_t step, int32_t* columns) {
#pragma GCC unroll 16
  for (size_t i = 0; i < kChunk; i += kTogether, turned += kTogether * step * kRows, columns += 3 * kRows) {
#if COPPICE_LANES == 16
    const __m128i even = bits<__m128i>(load_bytes(turned)), odd = bits<__m128i>(load_bytes(turned + step * kRows));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(columns), _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(even, odd)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(columns + 8), _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(even, odd)));
#elif COPPICE_LANES == 8
    const __m128i even = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(turned));
    const __m128i odd = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(turned + step * kRows));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(columns), _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(even, odd)));
#else
    const uint16x8_t wide = vmovl_u8(vld1_u8(turned));
    store_ints(columns, bits<IntVec>(vmovl_u16(vget_low_u16(wide))));
    store_ints(columns + 4, bits<IntVec>(vmovl_high_u16(wide)));
#endif
  }
}
#endif

// The pixels that `columns` needs, turned: [group of kTogether pixels][channel][row].
inline void turn_pixels(const Picture& p, const ResampleTaps& columns, const uint8_t* const (&rows)[3][kRows], int32_t* turned) {
  const size_t needed = columns.end - columns.begin;
  const bool rgb = p.layout == PixelLayout::kRgb;
#if COPPICE_LANES == 1
  for (size_t i = 0; i < 3 * needed; ++i) turned[i] = rgb ? rows[0][0][i] : rows[i % 3][0][i / 3];
#else
  uint8_t bytes[3 * kChunk * kRows];
  for (size_t pixel = 0; pixel < needed; pixel += kChunk) {
    int32_t* out = turned + pixel / kTogether * 3 * kRows;
    for (size_t part = 0; part < 3; ++part) {
      if (rgb) {
        turn_chunk(rows[0], 3 * pixel + part * kChunk, 3 * needed, bytes + part * kChunk * kRows);
      } else {
        turn_chunk(rows[part], pixel, needed, bytes + part * kChunk * kRows);
      }
    }
    for (size_t channel = 0; channel < 3; ++channel) {
      widen_columns(bytes + channel * (rgb ? 1 : kChunk) * kRows, rgb ? 3 : 1, out + channel * kRows);
    }
  }
#endif
}

#if COPPICE_LANES >= 8
// Weights of pairs in two parts, weight = 4096 high + low: every part fits 16 bits, a pair of them one lane.
constexpr int kLowBits = 12;
inline size_t pairs_of(const ResampleTaps& columns) { return columns.stride / 2 + 1; }
inline size_t packed_columns(const ResampleTaps& columns) { return columns.outputs * pairs_of(columns) * 2; }

inline int32_t pair(int32_t even, int32_t odd) { return static_cast<int32_t>((static_cast<uint32_t>(even) & 0xffff) | static_cast<uint32_t>(odd) << 16); }

void pack_columns(const ResampleTaps& columns, int32_t* packed) {
  constexpr int32_t kLow = (1 << kLowBits) - 1;
  for (size_t x = 0; x < columns.outputs; ++x) {
    const size_t odd = (columns.first[x] - columns.begin) % 2, count = columns.count[x];
    const int32_t* weights = columns.weights + x * columns.stride;
    for (size_t n = 0; n < pairs_of(columns); ++n, packed += 2) {
      // Of the first pair, the pixel before an odd first one has no weight; nor has the one after the last.
      const int32_t a = 2 * n >= odd && 2 * n - odd < count ? weights[2 * n - odd] : 0;
      const int32_t b = 2 * n + 1 - odd < count ? weights[2 * n + 1 - odd] : 0;
      packed[0] = pair(a >> kLowBits, b >> kLowBits);
      packed[1] = pair(a & kLow, b & kLow);
    }
  }
}

#if COPPICE_LANES == 16
inline IntVec add_pairs(IntVec sum, IntVec a, IntVec b) { return bits<IntVec>(_mm512_add_epi32(bits<__m512i>(sum), _mm512_madd_epi16(bits<__m512i>(a), bits<__m512i>(b)))); }
#else
inline IntVec add_pairs(IntVec sum, IntVec a, IntVec b) { return bits<IntVec>(_mm256_add_epi32(bits<__m256i>(sum), _mm256_madd_epi16(bits<__m256i>(a), bits<__m256i>(b)))); }
#endif

// Sums of output x in three channels of kRows rows. The parts' sums may wrap around; their total does not.
inline void sum_columns(const ResampleTaps& columns, const int32_t* packed, size_t x, const int32_t* turned, IntVec (&sum)[3 * kRowVectors]) {
  typedef uint32_t Unsigned __attribute__((vector_size(COPPICE_LANES * 4)));
  const size_t first = columns.first[x] - columns.begin, pairs = (first % 2 + columns.count[x] + 1) / 2;
  const int32_t* at = turned + first / 2 * 3 * kRows;
  const int32_t* weights = packed + x * pairs_of(columns) * 2;
  IntVec low[3 * kRowVectors];
  for (IntVec& s : sum) s = splat_int(0);
  for (IntVec& s : low) s = splat_int(1 << (kWeightBits - 1));
  for (size_t n = 0; n < pairs; ++n, at += 3 * kRows) {
    const IntVec high_weight = splat_int(weights[2 * n]), low_weight = splat_int(weights[2 * n + 1]);
#pragma GCC unroll 16
    for (size_t i = 0; i < 3 * kRowVectors; ++i) {
      const IntVec pixels = load_ints(at + i * kLanes);
      sum[i] = add_pairs(sum[i], pixels, high_weight);
      low[i] = add_pairs(low[i], pixels, low_weight);
    }
  }
#pragma GCC unroll 16
  for (size_t i = 0; i < 3 * kRowVectors; ++i) sum[i] = bits<IntVec>((bits<Unsigned>(sum[i]) << kLowBits) + bits<Unsigned>(low[i]));
}
#else
inline size_t packed_columns(const ResampleTaps&) { return 0; }
void pack_columns(const ResampleTaps&, int32_t*) {}

// Sums of output x in three channels of kRows rows.
inline void sum_columns(const ResampleTaps& columns, const int32_t*, size_t x, const int32_t* turned, IntVec (&sum)[3 * kRowVectors]) {
  const int32_t* at = turned + 3 * (columns.first[x] - columns.begin) * kRows;
  const int32_t* weights = columns.weights + x * columns.stride;
  for (IntVec& s : sum) s = splat_int(1 << (kWeightBits - 1));
  for (size_t t = 0; t < columns.count[x]; ++t, at += 3 * kRows) {
    const IntVec weight = splat_int(weights[t]);
#pragma GCC unroll 16
    for (size_t i = 0; i < 3 * kRowVectors; ++i) sum[i] += weight * load_ints(at + i * kLanes);
  }
}
#endif

// What BT.601 makes of Y, U and V, in fixed point of 20 bits. Sources: OpenCV's COLOR_YUV2RGB_NV12 (limited range), JFIF (full).
struct Colours {
  int32_t dark, gain, red_v, green_v, green_u, blue_u;
};
inline Colours colours(const Picture& p) {
  if (p.full_range) return {0, 1 << 20, 1470104, -748826, -360853, 1858077};
  return {16, 1220542, 1673527, -852492, -409993, 2116026};
}

inline IntVec level_of(IntVec sum) {
  const IntVec level = sum >> 20, zero = splat_int(0), top = splat_int(255);
  const IntVec positive = level > zero ? level : zero;
  return positive < top ? positive : top;
}

// 16 pixels from an even column on, to red[0..16) and so on; luma and chroma are readable to whole chunks.
inline void nv12_chunk(const Colours& c, const uint8_t* luma, const uint8_t* chroma, uint8_t* red, uint8_t* green, uint8_t* blue) {
  int32_t y[kChunk], u[kChunk], v[kChunk];
  uint8_t twice_u[kChunk], twice_v[kChunk];
#if COPPICE_LANES == 1
  for (size_t i = 0; i < kChunk; ++i) twice_u[i] = chroma[i & ~size_t{1}], twice_v[i] = chroma[i | 1];
#else
  const Bytes pairs = load_bytes(chroma);
  store_bytes(twice_u, __builtin_shufflevector(pairs, pairs, 0, 0, 2, 2, 4, 4, 6, 6, 8, 8, 10, 10, 12, 12, 14, 14));
  store_bytes(twice_v, __builtin_shufflevector(pairs, pairs, 1, 1, 3, 3, 5, 5, 7, 7, 9, 9, 11, 11, 13, 13, 15, 15));
#endif
  widen(luma, y);
  widen(twice_u, u);
  widen(twice_v, v);
  for (size_t i = 0; i < kChunk; i += kLanes) {
    const IntVec light = load_ints(y + i) - splat_int(c.dark), zero = splat_int(0);
    const IntVec base = (light > zero ? light : zero) * splat_int(c.gain) + splat_int(1 << 19);
    const IntVec us = load_ints(u + i) - splat_int(128), vs = load_ints(v + i) - splat_int(128);
    store_levels(red + i, level_of(base + splat_int(c.red_v) * vs));
    store_levels(green + i, level_of(base + splat_int(c.green_v) * vs + splat_int(c.green_u) * us));
    store_levels(blue + i, level_of(base + splat_int(c.blue_u) * us));
  }
}

// The even column at which planes of columns from `begin` on start, and their length in whole chunks.
inline size_t plane_begin(size_t begin) { return begin & ~size_t{1}; }
inline size_t plane_bytes(size_t begin, size_t end) { return round_up(end - plane_begin(begin), kChunk); }

// Columns plane_begin(begin)..end of one row as three planes; chroma is repeated.
inline void nv12_row(const Picture& p, size_t row, size_t begin, size_t end, uint8_t* red, uint8_t* green, uint8_t* blue) {
  const Colours c = colours(p);
  const uint8_t* luma = p.pixels + row * p.width;
  const uint8_t* chroma = p.pixels + p.height * p.width + row / 2 * p.width;
  size_t i = 0;
  for (size_t x = plane_begin(begin); x < end; x += kChunk, i += kChunk) {
    if (x + kChunk <= p.width) {
      nv12_chunk(c, luma + x, chroma + x, red + i, green + i, blue + i);
    } else {  // nothing past a row's end is read
      uint8_t last_luma[kChunk] = {}, last_chroma[kChunk] = {};
      __builtin_memcpy(last_luma, luma + x, p.width - x);
      __builtin_memcpy(last_chroma, chroma + x, p.width - x);
      nv12_chunk(c, last_luma, last_chroma, red + i, green + i, blue + i);
    }
  }
}

ResizedRows resized_rows(uint8_t* bytes, size_t width) {
  const size_t plane = round_up(width, kChunk);
  return {bytes, plane, round_up(3 * plane, kSpan > kChunk ? kSpan : kChunk)};
}

// Of horizontal: turned columns, then results by column, then planes of nv12.
inline size_t turned_bytes(const ResampleTaps& columns) {
  return 3 * round_up(columns.end - columns.begin, kChunk) / kTogether * kRows * sizeof(int32_t);
}
inline size_t result_bytes(size_t width) { return 3 * round_up(width, kChunk) * kRows; }

size_t scratch(const Picture& p, const ResampleTaps& columns) {
  const size_t planes = p.layout == PixelLayout::kNv12 ? 3 * kRows * plane_bytes(columns.begin, columns.end) : 0;
  const size_t horizontal = turned_bytes(columns) + result_bytes(columns.outputs) + planes;
  // Of vertical: one row of sums.
  const size_t vertical = resized_rows(nullptr, columns.outputs).row * sizeof(int32_t);
  return horizontal > vertical ? horizontal : vertical;
}

void horizontal(const Picture& p, const ResampleTaps& columns, const int32_t* packed, size_t row_begin, size_t row_end, const ResizedRows& out,
                size_t out_begin, void* worker) {
  const size_t plane = out.plane;
  auto* turned = static_cast<int32_t*>(worker);
  auto* results = static_cast<uint8_t*>(worker) + turned_bytes(columns);
  uint8_t* planes = results + result_bytes(columns.outputs);
  const uint8_t* rows[3][kRows];  // of rgb only the first: a row holds all channels
  const size_t length = plane_bytes(columns.begin, columns.end), skipped = columns.begin - plane_begin(columns.begin);
  for (size_t r = 0; r < kRows; ++r) {
    const size_t last = row_end - row_begin - 1, own = r < last ? r : last;  // idle lanes repeat the last row
    for (size_t channel = 0; channel < 3; ++channel) {
      rows[channel][r] = p.layout == PixelLayout::kRgb ? p.pixels + 3 * ((row_begin + own) * p.width + columns.begin)
                                                       : planes + (channel * kRows + own) * length + skipped;
    }
  }
  for (size_t r = 0; r < row_end - row_begin && p.layout == PixelLayout::kNv12; ++r) {
    nv12_row(p, row_begin + r, columns.begin, columns.end, planes + r * length, planes + (kRows + r) * length, planes + (2 * kRows + r) * length);
  }
  turn_pixels(p, columns, rows, turned);
  for (size_t x = 0; x < columns.outputs; ++x) {
    IntVec sum[3 * kRowVectors];
    sum_columns(columns, packed, x, turned, sum);
#pragma GCC unroll 16
    for (size_t i = 0; i < 3 * kRowVectors; ++i) {
      store_levels(results + (i / kRowVectors * plane + x) * kRows + i % kRowVectors * kLanes, rounded(sum[i]));
    }
  }
  uint8_t* first = out.bytes + (row_begin - out_begin) * out.row;
#if COPPICE_LANES == 1
  __builtin_memcpy(first, results, 3 * plane);
#else
  for (size_t begin = 0; begin < 3 * plane; begin += kChunk) {
    Bytes v[kRows];
#pragma GCC unroll 16
    for (size_t r = 0; r < kRows; ++r) v[r] = load_bytes(results + begin * kRows + r * 16);
    for (size_t step = 0; step < 4; ++step) shuffle_step(v);
    for (size_t r = 0; r < row_end - row_begin; ++r) store_bytes(first + r * out.row + begin, v[r]);
  }
#endif
}

// sums[0..bytes) of `count` rows times weights, rounded; whole spans of sums are written, no byte past a row's end is read.
inline void sum_rows(const uint8_t* rows, size_t step, const int32_t* weights, size_t count, size_t bytes, int32_t* sums) {
  for (size_t x = 0; x < bytes; x += kSpan) {
    IntVec sum[kSpanVectors];
    for (IntVec& s : sum) s = splat_int(1 << (kWeightBits - 1));
    for (size_t t = 0; t < count; ++t) {
      const uint8_t* from = rows + t * step + x;
      uint8_t rest[kSpan];
      if (x + kSpan > bytes) {
        __builtin_memset(rest, 0, kSpan);
        __builtin_memcpy(rest, from, bytes - x);
        from = rest;
      }
      int32_t wide[kSpan];
#if COPPICE_LANES == 1
      for (size_t i = 0; i < kSpan; ++i) wide[i] = from[i];
#else
#pragma GCC unroll 16
      for (size_t i = 0; i < kSpan; i += 16) widen(from + i, wide + i);
#endif
      const IntVec weight = splat_int(weights[t]);
#pragma GCC unroll 16
      for (size_t i = 0; i < kSpanVectors; ++i) sum[i] += weight * load_ints(wide + i * kLanes);
    }
#pragma GCC unroll 16
    for (size_t i = 0; i < kSpanVectors; ++i) store_ints(sums + x + i * kLanes, rounded(sum[i]));
  }
}

void vertical(const ResizedRows& resized, const ResampleTaps& rows, size_t y, size_t width, const float* levels, float* tensor, void* worker) {
  auto* sums = static_cast<int32_t*>(worker);
  const uint8_t* from = resized.bytes + (rows.first[y] - rows.begin) * resized.row;
  sum_rows(from, resized.row, rows.weights + y * rows.stride, rows.count[y], resized.row, sums);
  for (size_t channel = 0; channel < 3; ++channel) {
    const int32_t* level = sums + channel * resized.plane;
    float* out = tensor + (channel * rows.outputs + y) * width;
    for (size_t x = 0; x < width; ++x) out[x] = levels[channel * 256 + static_cast<size_t>(level[x])];
  }
}
