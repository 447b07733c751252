#include "linear_attention.h"

#include <cmath>

namespace coppice {

LinearAttention::LinearAttention(const Ort::ConstKernelInfo& info)
    : heads_(heads_attribute(info)),
      reweighted_(choice_attribute(info, "reweight", {"none", "cos1d"}) == 1),
      length_(static_cast<size_t>(integer_attribute(info, "length", 0, 0, 1 << 24))),
      waves_(reweighted_ ? length_ : 0) {
  form_.feature_map = choice_attribute(info, "feature_map", {"elu1", "relu"}) == 0 ? FeatureMap::kElu1 : FeatureMap::kRelu;
  constexpr Normalize forms[] = {Normalize::kRowSum, Normalize::kSqrtD, Normalize::kNone};
  form_.normalize = forms[choice_attribute(info, "normalize", {"row_sum", "sqrt_d", "none"})];
  form_.eps = float_attribute(info, "eps", 1e-6f);
  form_.add_eps = choice_attribute(info, "eps_mode", {"clamp", "add"}) == 1;
  order_ = static_cast<Order>(choice_attribute(info, "order", {"auto", "linear", "quadratic"}));
}

LinearAttention::Waves::Waves(size_t length) : length(length), cosine(length), sine(length) {
  for (size_t p = 0; p < length; ++p) {
    const double angle = 3.14159265358979323846 * static_cast<double>(p) / (2 * static_cast<double>(length));
    cosine[p] = static_cast<float>(std::cos(angle));
    sine[p] = static_cast<float>(std::sin(angle));
  }
}

// Multiply-adds of one head: N F d + M F d against M N d twice, F = d features or 2 d with the cos term (METHODS 0).
bool LinearAttention::prefers_quadratic(size_t tokens, size_t rows, size_t dim) const {
  if (order_ != Order::kAuto) return order_ == Order::kQuadratic;
  const size_t features = (reweighted_ ? 2 : 1) * dim;
  return 2 * rows * tokens < features * (tokens + rows);
}

void LinearAttention::compute(Ort::KernelContext& context) {
  const Kernels& kernels = kernels_in_use();
  const Projection p(context, heads_);
  const std::optional<Input> query_index = optional(context, 1, "query_index", "B,M");
  const std::optional<Input> positions = optional(context, 2, "positions", "B,N");
  const std::optional<Input> size = token_sizes(context, 3, p);
  const size_t rows = query_rows(query_index, p);
  if (positions) expect_shape(*positions, "positions", {p.qkv.shape[0], p.qkv.shape[1]}, "to match qkv");
  const size_t length = length_ ? length_ : p.tokens;

  const Waves run_waves(reweighted_ && length_ == 0 ? length : 0);
  const Waves& table = length_ == 0 ? run_waves : waves_;
  if (reweighted_) {
    if (!positions && p.tokens > length) {
      refuse("attribute length must be at least the token count " + std::to_string(p.tokens) + " of qkv " + shape_text(p.qkv.shape) + ", found " +
             std::to_string(length) + ".");
    }
    for (size_t i = 0; positions && i < p.batch * p.tokens; ++i) {
      const int64_t position = positions->integers()[i];
      if (position < 0 || position >= static_cast<int64_t>(length)) {
        refuse("input positions must be 0.." + std::to_string(length - 1) + " (attribute length), found " + std::to_string(position) + ".");
      }
    }
  }
  auto* y = static_cast<float*>(output(context, 0, {p.qkv.shape[0], static_cast<int64_t>(rows), static_cast<int64_t>(p.width())}));
  if (p.batch == 0 || rows == 0) return;

  const bool quadratic = prefers_quadratic(p.tokens, rows, p.dim);
  const AttentionScratch need = kernels.scratch(p.tokens, p.dim, reweighted_);
  const size_t shared = quadratic ? need.packed_keys : need.summary;
  const size_t items = p.batch * p.heads;
  const size_t gathered = reweighted_ && positions ? 2 * p.tokens : 0;
  Scratch scratch(allocator_, items * shared + p.batch * gathered + worker_limit() * need.worker);
  float* head_scratch = scratch.take(items * shared);

  std::vector<Attention> batch;
  for (size_t b = 0; b < p.batch; ++b) {
    Attention a{p.item(b), p.tokens, p.heads, p.dim, rows, query_index ? query_index->integers() + b * rows : nullptr,
                size ? size->floats() + b * p.tokens : nullptr, nullptr, nullptr, y + b * rows * p.width()};
    if (reweighted_) {
      a.cosine = table.cosine.data();
      a.sine = table.sine.data();
    }
    if (gathered) {
      float* waves = scratch.take(gathered);
      for (size_t i = 0; i < p.tokens; ++i) {
        const int64_t position = positions->integers()[b * p.tokens + i];
        waves[i] = table.cosine[position];
        waves[p.tokens + i] = table.sine[position];
      }
      a.cosine = waves;
      a.sine = waves + p.tokens;
    }
    batch.push_back(a);
  }
  float* workers = scratch.take(worker_limit() * need.worker);
  auto worker_scratch = [&](size_t worker) { return workers + worker * need.worker; };

  if (quadratic) {
    parallel(context, items, [&](size_t item, size_t) {
      kernels.pack_keys(batch[item / p.heads], &form_, item % p.heads, head_scratch + item * shared);
    });
  } else {
    const size_t features = (reweighted_ ? 2 : 1) * p.dim;
    // A tile stays inside the cosine or the sine part: both start at a multiple of dim.
    const size_t tiles_per_part = (p.dim + kFeatureTile - 1) / kFeatureTile;
    const size_t tiles = features / p.dim * tiles_per_part;
    parallel(context, items * tiles, [&](size_t task, size_t worker) {
      const size_t item = task / tiles, part = task % tiles / tiles_per_part, tile = task % tiles_per_part;
      const size_t begin = part * p.dim + tile * kFeatureTile;
      const size_t end = std::min(begin + kFeatureTile, (part + 1) * p.dim);
      kernels.summarise(batch[item / p.heads], form_, item % p.heads, begin, end, head_scratch + item * shared, worker_scratch(worker));
    });
  }
  const size_t tiles = (rows + kRowTile - 1) / kRowTile;
  parallel(context, items * tiles, [&](size_t task, size_t worker) {
    const size_t item = task / tiles, begin = task % tiles * kRowTile, end = std::min(begin + kRowTile, rows);
    auto run = quadratic ? kernels.quadratic_rows : kernels.linear_rows;
    run(batch[item / p.heads], form_, item % p.heads, begin, end, head_scratch + item * shared, worker_scratch(worker));
  });
}

}  // namespace coppice
