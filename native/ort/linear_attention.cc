#include "linear_attention.h"

#include <algorithm>
#include <cmath>

namespace coppice {
namespace {

constexpr double kPi = 3.14159265358979323846;

}  // namespace

LinearAttention::LinearAttention(const Ort::ConstKernelInfo& info) : heads_(heads_attribute(info)) {
  constexpr FeatureMap maps[] = {FeatureMap::kElu1, FeatureMap::kRelu, FeatureMap::kReluPow3};
  form_.feature_map = maps[choice_attribute(info, "feature_map", {"elu1", "relu", "relu_pow3"})];
  constexpr Normalize forms[] = {Normalize::kRowSum, Normalize::kSqrtD, Normalize::kNone};
  form_.normalize = forms[choice_attribute(info, "normalize", {"row_sum", "sqrt_d", "none"})];
  form_.eps = float_attribute(info, "eps", 1e-6f);
  form_.add_eps = choice_attribute(info, "eps_mode", {"clamp", "add"}) == 1;
  reweight_ = static_cast<Reweight>(choice_attribute(info, "reweight", {"none", "cos1d", "cos2d"}));
  length_ = static_cast<size_t>(integer_attribute(info, "length", 0, 0, 1 << 24));
  grid_ = static_cast<size_t>(integer_attribute(info, "grid", 0, 0, 1 << 12));
  prefix_ = prefix_attribute(info);
  if (reweight_ == Reweight::kCos2d && grid_ == 0) {
    refuse("attribute grid must be the patches along one edge (1..4096) for reweight=cos2d, found 0.");
  }
  order_ = static_cast<Order>(choice_attribute(info, "order", {"auto", "linear", "quadratic"}));
}

size_t LinearAttention::wave_count() const {
  switch (reweight_) {
    case Reweight::kCos1d: return 2;
    case Reweight::kCos2d: return prefix_ > 0 ? 6 : 4;
    default: return 0;
  }
}

// cos(a - b) = cos a cos b + sin a sin b, for each axis of cos2d. Prefix tokens have no place in the grid: they see, and are
// seen, with weight 1; of the two waves for that, one lets patch queries see prefix keys and the other prefix queries see all.
LinearAttention::Wave LinearAttention::waves_at(const int64_t* positions, size_t tokens, size_t length) const {
  Wave wave{std::vector<float>(wave_count() * tokens), {}};
  const auto put = [&](std::vector<float>& waves, size_t number, size_t token, double value) {
    waves[number * tokens + token] = static_cast<float>(value);
  };
  if (reweight_ == Reweight::kCos1d) {
    for (size_t i = 0; i < tokens; ++i) {
      const double angle = kPi * static_cast<double>(positions ? positions[i] : static_cast<int64_t>(i)) / (2 * static_cast<double>(length));
      put(wave.query, 0, i, std::cos(angle));
      put(wave.query, 1, i, std::sin(angle));
    }
    return wave;
  }
  wave.key.resize(wave.query.size());
  for (size_t i = 0; i < tokens; ++i) {
    const size_t position = positions ? static_cast<size_t>(positions[i]) : i;
    if (position < prefix_) {
      put(wave.query, 4, i, 1);
      put(wave.query, 5, i, 1);
      put(wave.key, 4, i, 1);
      continue;
    }
    const size_t patch = position - prefix_;
    const double step = kPi / (2 * static_cast<double>(length)), down = step * static_cast<double>(patch / grid_),
                 across = step * static_cast<double>(patch % grid_);
    const double products[] = {std::cos(down) * std::cos(across), std::cos(down) * std::sin(across), std::sin(down) * std::cos(across),
                               std::sin(down) * std::sin(across)};
    for (size_t number = 0; number < 4; ++number) {
      put(wave.query, number, i, products[number]);
      put(wave.key, number, i, products[number]);
    }
    if (prefix_ > 0) {
      put(wave.query, 4, i, 1);
      put(wave.key, 5, i, 1);
    }
  }
  return wave;
}

// Multiply-adds of one head: N F d + M F d against M N d twice, F = d features a wave (METHODS 0).
bool LinearAttention::prefers_quadratic(size_t tokens, size_t rows, size_t dim) const {
  if (order_ != Order::kAuto) return order_ == Order::kQuadratic;
  const size_t features = std::max<size_t>(wave_count(), 1) * dim;
  return 2 * rows * tokens < features * (tokens + rows);
}

size_t LinearAttention::wave_length(const Projection& p) const {
  return length_ ? length_ : reweight_ == Reweight::kCos2d ? grid_ : p.tokens;
}

void LinearAttention::check(const Projection& p, const std::optional<Input>& positions) const {
  if (positions) expect_shape(*positions, "positions", {p.qkv.shape[0], p.qkv.shape[1]}, "to match qkv");
  if (reweight_ == Reweight::kNone) return;
  const size_t length = wave_length(p);
  const bool grid = reweight_ == Reweight::kCos2d;
  const size_t places = grid ? prefix_ + grid_ * grid_ : length;
  const std::string limit = grid ? " (prefix_tokens and grid squared)" : " (attribute length)";
  if (grid && length < grid_) {
    refuse("attribute length must be at least grid=" + std::to_string(grid_) + ", found " + std::to_string(length) + ".");
  }
  if (!positions && p.tokens > places) {
    refuse("input qkv " + shape_text(p.qkv.shape) + " has " + std::to_string(p.tokens) + " tokens, expected at most " + std::to_string(places) +
           limit + "; connect positions, or export with the right length.");
  }
  for (size_t i = 0; positions && i < p.batch * p.tokens; ++i) {
    const int64_t position = positions->integers()[i];
    if (position < 0 || position >= static_cast<int64_t>(places)) {
      refuse("input positions must be 0.." + std::to_string(places - 1) + limit + ", found " + std::to_string(position) + ".");
    }
  }
}

void LinearAttention::compute(Ort::KernelContext& context) {
  const Projection p(context, heads_);
  const std::optional<Input> query_index = optional(context, 1, "query_index", "B,M");
  const std::optional<Input> positions = optional(context, 2, "positions", "B,N");
  const std::optional<Input> size = token_sizes(context, 3, p);
  const size_t rows = query_rows(query_index, p);
  check(p, positions);
  const FloatOutput out(context, 0, {p.qkv.shape[0], static_cast<int64_t>(rows), static_cast<int64_t>(p.width())});
  attend(context, p, query_index, positions, size, out.data());
}

void LinearAttention::attend(Ort::KernelContext& context, const Projection& p, const std::optional<Input>& query_index,
                             const std::optional<Input>& positions, const std::optional<Input>& size, float* y) {
  const Kernels& kernels = kernels_in_use();
  const size_t rows = query_index ? query_index->size(1) : p.tokens, length = wave_length(p);
  if (p.batch == 0 || rows == 0) return;

  const bool quadratic = prefers_quadratic(p.tokens, rows, p.dim), cubed = form_.feature_map == FeatureMap::kReluPow3;
  const AttentionScratch need = kernels.scratch(p.dim, wave_count());
  const size_t items = p.batch * p.heads, shared = quadratic ? 0 : need.summary;
  Scratch scratch(allocator_, items * shared + (cubed ? 2 * p.batch * p.tokens : 0) + worker_limit() * need.worker);
  float* head_scratch = scratch.take(items * shared);

  std::vector<Attention> batch;
  std::vector<LinearForm> forms(p.batch, form_);
  std::vector<Wave> waves;
  for (size_t b = 0; b < p.batch; ++b) {
    batch.push_back({p.item(b), p.tokens, p.heads, p.dim, rows, query_index ? query_index->integers() + b * rows : nullptr,
                     size ? size->floats() + b * p.tokens : nullptr, y + b * rows * p.width()});
    if (reweight_ != Reweight::kNone) {
      waves.push_back(waves_at(positions ? positions->integers() + b * p.tokens : nullptr, p.tokens, length));
      const Wave& wave = waves.back();
      forms[b].waves = {wave_count(), wave.query.data(), wave.key.empty() ? wave.query.data() : wave.key.data()};
    }
    if (cubed) {
      float *query_weight = scratch.take(p.tokens), *key_weight = scratch.take(p.tokens);
      kernels.cube_factors(batch[b], false, query_weight);
      kernels.cube_factors(batch[b], true, key_weight);
      for (size_t i = 0; size && i < p.tokens; ++i) key_weight[i] *= size->floats()[b * p.tokens + i];
      forms[b].query_weight = query_weight;
      batch[b].key_weight = key_weight;
    }
  }
  float* workers = scratch.take(worker_limit() * need.worker);
  auto worker_scratch = [&](size_t worker) { return workers + worker * need.worker; };

  if (!quadratic) {
    const size_t tiles = (p.dim + kFeatureTile - 1) / kFeatureTile;
    parallel(context, items * tiles, [&](size_t task, size_t worker) {
      const size_t item = task / tiles, begin = task % tiles * kFeatureTile, end = std::min(begin + kFeatureTile, p.dim);
      kernels.summarise(batch[item / p.heads], forms[item / p.heads], item % p.heads, begin, end, head_scratch + item * shared,
                        worker_scratch(worker));
    });
  }
  const RowTiles tiles(rows, kernels.lanes);
  parallel(context, items * tiles.count, [&](size_t task, size_t worker) {
    const size_t item = task / tiles.count, b = item / p.heads, head = item % p.heads;
    const size_t begin = tiles.begin(task % tiles.count), end = tiles.end(task % tiles.count);
    if (quadratic) {
      kernels.quadratic_rows(batch[b], forms[b], head, begin, end, worker_scratch(worker));
    } else {
      kernels.linear_rows(batch[b], forms[b], head, begin, end, head_scratch + item * shared, worker_scratch(worker));
    }
  });
}

}  // namespace coppice
