// Bodies of linear.h, for inclusion inside the anonymous namespace of one instruction set's source.

void layer_norm(const LayerNorm& norm, ConstRows x, size_t rows, Rows y) {
  for (size_t r = 0; r < rows; ++r) {
    normalise_row(x.first + r * x.stride, norm.width, norm.weight, norm.bias, norm.epsilon, y.first + r * y.stride);
  }
}

void swiglu(Rows x, size_t rows, size_t width) {
  for (size_t r = 0; r < rows; ++r) {
    float *const gate = x.first + r * x.stride, *const value = gate + width;
    size_t i = 0;
    for (; i + kLanes <= width; i += kLanes) store(gate + i, load(gate + i) * sigmoid(load(gate + i)) * load(value + i));
    if (i == width) continue;
    const Vec rest = load_part(gate + i, width - i);
    store_part(gate + i, rest * sigmoid(rest) * load_part(value + i, width - i), width - i);
  }
}

template <class Map>
inline void map_rows(Rows x, size_t rows, size_t columns, const Map& map) {
  for (size_t r = 0; r < rows; ++r) {
    float* const row = x.first + r * x.stride;
    size_t i = 0;
    for (; i + kLanes <= columns; i += kLanes) store(row + i, map(load(row + i)));
    if (i < columns) store_part(row + i, map(load_part(row + i, columns - i)), columns - i);
  }
}

inline void activate(Activation activation, Rows x, size_t rows, size_t columns) {
  if (activation == Activation::kGelu) map_rows(x, rows, columns, gelu);
  if (activation == Activation::kGeluTanh) map_rows(x, rows, columns, gelu_tanh);
}

inline Quantised quantised(size_t rows, size_t depth, float* scratch) {
  auto* const bytes = reinterpret_cast<int8_t*>(scratch);
  float* const unit = scratch + rows * quantised_stride(depth) / sizeof(float);
  return {bytes, unit, reinterpret_cast<int32_t*>(unit + rows)};
}

size_t scratch(const Linear& layer, size_t rows) {
#if COPPICE_LANES == 4
  if (layer.type == WeightType::kHalf) return layer.depth * kWeightPanel;
#endif
  return layer.type == WeightType::kInt8 ? rows * (quantised_stride(layer.depth) / sizeof(float) + 2) : 0;
}

// The values of a layer's columns from `column` on, of which `left` exist.
inline Vec columns_at(const float* x, size_t column, size_t left) { return left >= kLanes ? load(x + column) : load_part(x + column, left); }

// What a sum becomes in y.
struct Finish {
  const Linear& layer;
  const LinearCall& call;
  Quantised input;

  void put(size_t row, size_t column, Vec v) const {
    const size_t left = layer.columns - column;
    if (layer.bias) v += columns_at(layer.bias, column, left);
    if (call.residual.first) v += columns_at(call.residual.first + row * call.residual.stride, column, left);
    float* const y = call.y.first + row * call.y.stride + column;
    if (left >= kLanes) {
      store(y, v);
    } else {
      store_part(y, v, left);
    }
  }
  void operator()(size_t row, size_t column, Vec sum) const { put(row, column, sum); }
#if COPPICE_LANES > 1
  void operator()(size_t row, size_t column, Ints sum) const {
    const size_t left = layer.columns - column;
    const Ints weight_sum = bits<Ints>(columns_at(reinterpret_cast<const float*>(layer.weight_sum), column, left));
    const Vec exact = __builtin_convertvector(sum - input.offset[row] * weight_sum, Vec);
    put(row, column, exact * (splat(input.unit[row]) * columns_at(layer.scale, column, left)));
  }
#else
  void operator()(size_t row, size_t column, int32_t sum) const {
    put(row, column, static_cast<float>(sum - input.offset[row] * layer.weight_sum[column]) * (input.unit[row] * layer.scale[column]));
  }
#endif
};

template <class Type>
inline void multiply(const Linear& layer, const LinearCall& call, const char* x, size_t x_row, size_t steps, const Finish& finish) {
  constexpr size_t kVector = Type::kBytes * kLanes, kPanelStep = Type::kBytes * kWeightPanel;
  const size_t groups = (call.rows + rows_of<Type>() - 1) / rows_of<Type>();
  for (size_t column = 0; column < layer.columns; column += 2 * kLanes) {
    const bool two = layer.columns - column > kLanes;
    const char* b = static_cast<const char*>(layer.weight) + column / kWeightPanel * steps * kPanelStep + column % kWeightPanel * Type::kBytes;
    const size_t width = layer.columns - column < 2 * kLanes ? layer.columns - column : 2 * kLanes;
    for (size_t group = 0; group < groups; ++group) {
      const size_t begin = group * call.rows / groups, end = (group + 1) * call.rows / groups;
      const LinearTile tile{x + begin * x_row, x_row, b, kLanes == kWeightPanel ? steps * kPanelStep : kVector, steps};
      if (two) {
        linear_tile<Type, true>(tile, end - begin, [&](size_t row, auto first, auto second) {
          finish(begin + row, column, first);
          finish(begin + row, column + kLanes, second);
        });
      } else {
        linear_tile<Type, false>(tile, end - begin, [&](size_t row, auto first, auto) { finish(begin + row, column, first); });
      }
      activate(call.activation, {call.y.first + begin * call.y.stride + column, call.y.stride}, end - begin, width);
    }
  }
}

#if COPPICE_LANES == 4
// A panel is widened once for all rows: widening four weights takes 1.5 cycles on Cortex-A72 and 2 on Neoverse-N1, a product of four 1
// and 0.5 (LLVM 19).
inline void multiply_halves(const Linear& layer, const LinearCall& call, const char* x, size_t x_row, float* scratch) {
  const auto* half = static_cast<const uint16_t*>(layer.weight);
  for (size_t column = 0; column < layer.columns; column += kWeightPanel, half += layer.depth * kWeightPanel) {
    widen(half, layer.depth * kWeightPanel, scratch);
    const size_t left = layer.columns - column;
    const Linear panel{WeightType::kFloat, layer.depth, left < kWeightPanel ? left : kWeightPanel, scratch, nullptr, nullptr,
                       layer.bias ? layer.bias + column : nullptr};
    LinearCall part = call;
    part.y.first += column;
    if (part.residual.first) part.residual.first += column;
    multiply<FloatWeights>(panel, part, x, x_row, layer.depth, {panel, part, {}});
  }
}
#endif

void linear(const Linear& layer, const LinearCall& call, float* scratch) {
  const auto* const x = reinterpret_cast<const char*>(call.x.first);
  const size_t x_row = call.x.stride * sizeof(float);
  switch (layer.type) {
    case WeightType::kFloat: return multiply<FloatWeights>(layer, call, x, x_row, layer.depth, {layer, call, {}});
#if COPPICE_LANES == 4
    case WeightType::kHalf: return multiply_halves(layer, call, x, x_row, scratch);
#else
    case WeightType::kHalf: return multiply<HalfWeights>(layer, call, x, x_row, layer.depth, {layer, call, {}});
#endif
    default: break;
  }
  const Quantised input = quantised(call.rows, layer.depth, scratch);
  for (size_t r = 0; r < call.rows; ++r) quantise_row(call.x.first + r * call.x.stride, layer.depth, r, input);
  const auto* const q = reinterpret_cast<const char*>(input.q);
  multiply<Int8Weights>(layer, call, q, quantised_stride(layer.depth), (layer.depth + 3) / 4, {layer, call, input});
}
