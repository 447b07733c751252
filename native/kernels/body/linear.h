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

inline Vec float_sum(Vec sum, size_t, const Quantised&, Vec, Ints) { return sum; }
inline Vec float_sum(Ints sum, size_t row, const Quantised& input, Vec scale, Ints weight_sum) {
  const Ints exact = sum - input.offset[row] * weight_sum;
  return floats(exact) * (splat(input.unit[row]) * scale);
}

// y of a vector of columns from the sums of `rows` rows from `begin` on.
template <class Sum, class Map>
inline void finish(const Linear& layer, const LinearCall& call, const Quantised& input, size_t begin, size_t rows, size_t column, const Sum* sums,
                   const Map& map) {
  const size_t left = layer.columns - column;
  const Vec bias = layer.bias ? columns_at(layer.bias, column, left) : splat(0), scale = layer.scale ? columns_at(layer.scale, column, left) : bias;
  const Ints weight_sum = bits<Ints>(layer.weight_sum ? columns_at(reinterpret_cast<const float*>(layer.weight_sum), column, left) : bias);
  for (size_t row = begin; row < begin + rows; ++row) {
    Vec v = float_sum(sums[row - begin], row, input, scale, weight_sum) + bias;
    if (call.residual.first) v += columns_at(call.residual.first + row * call.residual.stride, column, left);
    v = map(v);
    float* const y = call.y.first + row * call.y.stride + column;
    if (left >= kLanes) {
      store(y, v);
    } else {
      store_part(y, v, left);
    }
  }
}

template <class Type, class Map>
inline void multiply(const Linear& layer, const LinearCall& call, const char* x, size_t x_row, size_t steps, const Quantised& input, const Map& map) {
  constexpr size_t kPanelStep = Type::kBytes * kWeightPanel;
  const size_t groups = (call.rows + rows_of<Type>() - 1) / rows_of<Type>();
  Total<Type> sums[2 * kLinearRows];
  for (size_t column = 0; column < layer.columns; column += 2 * kLanes) {
    const bool two = layer.columns - column > kLanes;
    const char* b = static_cast<const char*>(layer.weight) + column / kWeightPanel * steps * kPanelStep + column % kWeightPanel * Type::kBytes;
    for (size_t group = 0; group < groups; ++group) {
      const size_t begin = group * call.rows / groups, rows = (group + 1) * call.rows / groups - begin;
      const LinearTile tile{x + begin * x_row, x_row, b, kLanes == kWeightPanel ? steps * kPanelStep : Type::kBytes * kLanes, steps};
      if (two) {
        linear_tile<Type, true>(tile, rows, sums);
        finish(layer, call, input, begin, rows, column + kLanes, sums + kLinearRows, map);
      } else {
        linear_tile<Type, false>(tile, rows, sums);
      }
      finish(layer, call, input, begin, rows, column, sums, map);
    }
  }
}

template <class Type>
inline void multiply(const Linear& layer, const LinearCall& call, const char* x, size_t x_row, size_t steps, const Quantised& input) {
  switch (call.activation) {
    case Activation::kGelu: return multiply<Type>(layer, call, x, x_row, steps, input, gelu);
    case Activation::kGeluTanh: return multiply<Type>(layer, call, x, x_row, steps, input, gelu_tanh);
    default: return multiply<Type>(layer, call, x, x_row, steps, input, [](Vec v) { return v; });
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
    multiply<FloatWeights>(panel, part, x, x_row, layer.depth, {});
  }
}
#endif

void linear(const Linear& layer, const LinearCall& call, float* scratch) {
  const auto* const x = reinterpret_cast<const char*>(call.x.first);
  const size_t x_row = call.x.stride * sizeof(float);
  switch (layer.type) {
    case WeightType::kFloat: return multiply<FloatWeights>(layer, call, x, x_row, layer.depth, {});
#if COPPICE_LANES == 4
    case WeightType::kHalf: return multiply_halves(layer, call, x, x_row, scratch);
#else
    case WeightType::kHalf: return multiply<HalfWeights>(layer, call, x, x_row, layer.depth, {});
#endif
    default: break;
  }
  const Quantised input = quantised(call.rows, layer.depth, scratch);
  if (layer.low < layer.high) {
    const ByteSteps steps = byte_steps(layer.low, layer.high);
    for (size_t r = 0; r < call.rows; ++r) quantise_row_within(layer.low, layer.high, steps, call.x.first + r * call.x.stride, layer.depth, r, input);
  } else {
    for (size_t r = 0; r < call.rows; ++r) quantise_row(call.x.first + r * call.x.stride, layer.depth, r, input);
  }
  multiply<Int8Weights>(layer, call, reinterpret_cast<const char*>(input.q), quantised_stride(layer.depth), (layer.depth + 3) / 4, input);
}
