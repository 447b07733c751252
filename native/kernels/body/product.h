// Products of rows and a layer's panels, finished tile by tile, for inclusion inside the anonymous namespace of one instruction set's source.

template <class Type>
constexpr bool kOfBytes = Type::kDepth == 4;

// What sums of products become y with: of a vector of columns.
struct Column {
  Vec bias, scale;
  Ints weight_sum;
};

inline Vec float_sum(Vec sum, float, int32_t, const Column& c) { return sum + c.bias; }
inline Vec float_sum(Ints sum, float unit, int32_t offset, const Column& c) { return floats(sum - offset * c.weight_sum) * (splat(unit) * c.scale) + c.bias; }

// y of one vector of columns, or of two, from the sums of `rows` rows from `begin` on. All vectors are Whole or the only one is not.
// What lies in memory is read before a row's first store, after which the compiler would have to read it again.
template <class Type, bool Two, bool Whole, bool Residual, class Map>
COPPICE_INLINE inline void finish(const Linear& layer, const LinearCall& call, const Quantised& input, size_t begin, size_t rows, size_t column,
                                  const Total<Type>* sums, const Map& map) {
  const size_t left = layer.columns - column, y_stride = call.y.stride, residual_stride = call.residual.stride;
  const auto at = [&](const float* x) COPPICE_INLINE { return Whole ? load(x) : load_part(x, left); };
  const auto column_at = [&](size_t i) COPPICE_INLINE {
    const Vec bias = layer.bias ? at(layer.bias + i) : splat(0), scale = layer.scale ? at(layer.scale + i) : bias;
    return Column{bias, scale, bits<Ints>(layer.weight_sum ? at(reinterpret_cast<const float*>(layer.weight_sum) + i) : bias)};
  };
  const Column first = column_at(column), second = Two ? column_at(column + kLanes) : first;
  const float* const units = input.unit;
  const int32_t* const offsets = input.offset;
  float* y = call.y.first + begin * y_stride + column;
  const float* residual = Residual ? call.residual.first + begin * residual_stride + column : nullptr;
  for (size_t row = begin; row < begin + rows; ++row, sums += 2, y += y_stride, residual += Residual ? residual_stride : 0) {
    const float unit = kOfBytes<Type> ? units[row] : 0;
    const int32_t offset = kOfBytes<Type> ? offsets[row] : 0;
    const auto value = [&](const Column& c, size_t i) COPPICE_INLINE {
      Vec v = float_sum(sums[i], unit, offset, c);
      if constexpr (Residual) v += at(residual + i * kLanes);
      return map(v, row);
    };
    const Vec v0 = value(first, 0);
    if constexpr (Whole) {
      store(y, v0);
    } else {
      store_part(y, v0, left);
    }
    if constexpr (Two) store(y + kLanes, value(second, 1));
  }
}

// y = map(x W + bias + residual, row); bytes in `input` take the place of x.
template <class Type, bool Residual, class Map>
inline void multiply(const Linear& layer, const LinearCall& call, const Quantised& input, const Map& map) {
  constexpr size_t kPanelStep = Type::kBytes * kWeightPanel;
  constexpr bool kTiled = kOfBytes<Type> && kSide > 1;
  const char* const x = kOfBytes<Type> ? reinterpret_cast<const char*>(input.q) : reinterpret_cast<const char*>(call.x.first);
  const size_t x_row = kOfBytes<Type> ? quantised_stride(layer.depth) : call.x.stride * sizeof(float), steps = (layer.depth + Type::kDepth - 1) / Type::kDepth;
  const size_t groups = (call.rows + rows_of<Type>() - 1) / rows_of<Type>();
  Total<Type> sums[2 * kLinearRows];
  for (size_t column = 0; column < layer.columns; column += 2 * kLanes) {
    const size_t left = layer.columns - column;
    const char* b = static_cast<const char*>(layer.weight) + column / kWeightPanel * steps * kPanelStep + column % kWeightPanel * Type::kBytes;
    for (size_t group = 0; group < groups; ++group) {
      const auto row_of = [&](size_t g) { return !kTiled ? g * call.rows / groups : g == groups ? call.rows : g * kSide; };
      const size_t begin = row_of(group), rows = row_of(group + 1) - begin;
      const LinearTile tile{x + begin * x_row, kTiled ? kBlock : x_row, b, kLanes == kWeightPanel ? steps * kPanelStep : Type::kBytes * kLanes, steps};
      if (left > kLanes) {
        linear_tile<Type, true>(tile, rows, sums);
      } else {
        linear_tile<Type, false>(tile, rows, sums);
      }
      if (left >= 2 * kLanes) {
        finish<Type, true, true, Residual>(layer, call, input, begin, rows, column, sums, map);
        continue;
      }
      if (left >= kLanes) finish<Type, false, true, Residual>(layer, call, input, begin, rows, column, sums, map);
      if (left % kLanes != 0) finish<Type, false, false, Residual>(layer, call, input, begin, rows, column + left / kLanes * kLanes, sums + left / kLanes, map);
    }
  }
}
