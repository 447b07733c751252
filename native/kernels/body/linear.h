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

// Floats of scratch that hold the bytes of rows.
inline size_t quantised_floats(size_t rows, size_t depth) { return round_up(rows, kSide) * quantised_stride(depth) / sizeof(float); }

inline Quantised quantised(size_t rows, size_t depth, float* scratch) {
  auto* const bytes = reinterpret_cast<int8_t*>(scratch);
  float* const unit = scratch + quantised_floats(rows, depth);
  return {bytes, unit, reinterpret_cast<int32_t*>(unit + rows)};
}

size_t scratch(const Linear& layer, size_t rows) {
#if COPPICE_LANES == 4
  if (layer.type == WeightType::kHalf) return layer.depth * kWeightPanel;
#endif
  return layer.type == WeightType::kInt8 ? quantised_floats(rows, layer.depth) + 2 * rows : 0;
}

template <class Type>
inline void multiply(const Linear& layer, const LinearCall& call, Quantised input) {
  const auto activated = [&](const auto& map) { call.residual.first ? multiply<Type, true>(layer, call, input, map) : multiply<Type, false>(layer, call, input, map); };
  switch (call.activation) {
    case Activation::kGelu: return activated([](Vec v, size_t) COPPICE_INLINE { return gelu(v); });
    case Activation::kGeluTanh: return activated([](Vec v, size_t) COPPICE_INLINE { return gelu_tanh(v); });
    default: return activated([](Vec v, size_t) COPPICE_INLINE { return v; });
  }
}

#if COPPICE_LANES == 4
// A panel is widened once for all rows: widening four weights takes 1.5 cycles on Cortex-A72 and 2 on Neoverse-N1, a product of four 1
// and 0.5 (LLVM 19).
inline void multiply_halves(const Linear& layer, const LinearCall& call, float* scratch) {
  const auto* half = static_cast<const uint16_t*>(layer.weight);
  for (size_t column = 0; column < layer.columns; column += kWeightPanel, half += layer.depth * kWeightPanel) {
    widen(half, layer.depth * kWeightPanel, scratch);
    const size_t left = layer.columns - column;
    const Linear panel{WeightType::kFloat, layer.depth, left < kWeightPanel ? left : kWeightPanel, scratch, nullptr, nullptr,
                       layer.bias ? layer.bias + column : nullptr};
    LinearCall part = call;
    part.y.first += column;
    if (part.residual.first) part.residual.first += column;
    multiply<FloatWeights>(panel, part, {});
  }
}
#endif

void linear(const Linear& layer, const LinearCall& call, float* scratch) {
  switch (layer.type) {
    case WeightType::kFloat: return multiply<FloatWeights>(layer, call, {});
#if COPPICE_LANES == 4
    case WeightType::kHalf: return multiply_halves(layer, call, scratch);
#else
    case WeightType::kHalf: return multiply<HalfWeights>(layer, call, {});
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
  multiply<Int8Weights>(layer, call, input);
}
