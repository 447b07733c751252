#include "token_attention.h"

#include <cmath>

#include "../kernels/int8_attention.h"

namespace coppice {
namespace {

// Proportional attention: a token that stands for s others adds log s to its logit (ToMe).
const float* log_sizes(const std::optional<Input>& size, size_t item, size_t tokens, float* out) {
  if (!size) return nullptr;
  for (size_t i = 0; i < tokens; ++i) out[i] = std::log(size->floats()[item * tokens + i]);
  return out;
}

void mean_over_heads(const float* heads_first, size_t heads, size_t tokens, float* scores) {
  for (size_t j = 0; j < tokens; ++j) {
    float total = 0;
    for (size_t h = 0; h < heads; ++h) total += heads_first[h * tokens + j];
    scores[j] = total / static_cast<float>(heads);
  }
}

void divide_by_patch_sum(float* values, size_t tokens, size_t prefix) {
  float total = 0;
  for (size_t j = prefix; j < tokens; ++j) total += values[j];
  for (size_t j = 0; j < tokens; ++j) values[j] /= total;
}

// scores[j] *= the L2 norm of token j's values; norms: scratch [tokens].
void multiply_by_value_norms(const Kernels& kernels, const Attention& a, float* norms, float* scores) {
  kernels.value_norms(a, norms);
  for (size_t j = 0; j < a.tokens; ++j) scores[j] *= norms[j];
}

float default_scale(size_t dim) { return 1 / std::sqrt(static_cast<float>(dim)); }

}  // namespace

TokenAttention::TokenAttention(const Ort::ConstKernelInfo& info, bool in_bytes) : in_bytes_(in_bytes), heads_(heads_attribute(info)) {
  scale_ = float_attribute(info, "scale", 0);
  score_ = static_cast<Score>(choice_attribute(info, "score", {"none", "cls", "cls_value_norm", "received"}));
  if (score_ == Score::kNone && info.GetOutputCount() > 1 && !info.GetOutputName(1).empty()) {
    refuse("output scores needs attribute score=cls, cls_value_norm or received, found none; set the attribute or leave the output out.");
  }
}

void TokenAttention::compute(Ort::KernelContext& context) {
  const Projection p(context, heads_);
  const std::optional<Input> query_index = optional(context, 1, "query_index", "B,M");
  const std::optional<Input> size = token_sizes(context, 2, p);
  const size_t rows = query_rows(query_index, p);
  const FloatOutput mixed(context, 0, {p.qkv.shape[0], static_cast<int64_t>(rows), static_cast<int64_t>(p.width())});
  const FloatOutput scored(context, 1, {p.qkv.shape[0], p.qkv.shape[1]});
  attend(context, p, query_index, size, mixed.data(), scored.data());
}

void TokenAttention::check(const Projection& p) const {
  if (in_bytes_ && std::max(p.tokens, p.dim) > kMaxInt8Tokens) {
    refuse("attribute attention_precision=int8 allows " + std::to_string(kMaxInt8Tokens) + " tokens, and features of a head, at most, found " +
           std::to_string(p.tokens) + " and " + std::to_string(p.dim) + "; leave it at float32.");
  }
}

void TokenAttention::attend(Ort::KernelContext& context, const Projection& p, const std::optional<Input>& query_index, const std::optional<Input>& size,
                            float* y, float* scores) {
  const Kernels& kernels = kernels_in_use();
  const size_t rows = query_index ? query_index->size(1) : p.tokens;
  if (p.batch == 0) return;

  Scratch scratch(allocator_, p.batch * p.tokens * (scores ? p.heads + 1 : 1));
  float* const head_scores = scores ? scratch.take(p.batch * p.heads * p.tokens) : nullptr;
  Items items{{}, {}, scale_ > 0 ? scale_ : default_scale(p.dim)};
  for (size_t b = 0; b < p.batch; ++b) {
    const int64_t* index = query_index ? query_index->integers() + b * rows : nullptr;
    items.attention.push_back({p.item(b), p.tokens, p.heads, p.dim, rows, index, log_sizes(size, b, p.tokens, scratch.take(p.tokens)),
                               y + b * rows * p.width()});
    items.class_at.push_back(index ? static_cast<size_t>(std::find(index, index + rows, 0) - index) : 0);
  }
  in_bytes_ ? mix_in_bytes(context, items, head_scores) : mix(context, items, head_scores);
  if (scores == nullptr) return;
  for (size_t b = 0; b < p.batch; ++b) {
    float *const heads_first = head_scores + b * p.heads * p.tokens, *const out = scores + b * p.tokens;
    for (size_t h = 0; h < p.heads && score_ != Score::kReceived && items.class_at[b] == rows; ++h) {
      kernels.class_attention(items.attention[b], items.scale, h, false, heads_first + h * p.tokens);
    }
    mean_over_heads(heads_first, p.heads, p.tokens, out);
    if (score_ == Score::kReceived) {
      for (size_t j = 0; j < p.tokens; ++j) out[j] /= static_cast<float>(rows);
    } else if (score_ == Score::kClassByValue) {
      multiply_by_value_norms(kernels, items.attention[b], heads_first, out);
    }
  }
}

void TokenAttention::mix(Ort::KernelContext& context, const Items& batch, float* head_scores) {
  const Kernels& kernels = kernels_in_use();
  const Attention& any = batch.attention.front();
  const size_t tokens = any.tokens, heads = any.heads, rows = any.rows;
  const bool received = head_scores && score_ == Score::kReceived, class_row = head_scores && !received;
  const AttentionScratch need = kernels.scratch(any.dim, 0);
  const size_t items = batch.attention.size() * heads;
  Scratch scratch(allocator_, (received ? items * 2 * rows : 0) + worker_limit() * need.worker);
  float* const statistics = scratch.take(received ? items * 2 * rows : 0);
  float* const workers = scratch.take(worker_limit() * need.worker);
  auto statistics_of = [&](size_t item) {
    return received ? RowStatistics{statistics + 2 * item * rows, statistics + (2 * item + 1) * rows} : RowStatistics{nullptr, nullptr};
  };

  const RowTiles tiles(rows, kernels.lanes);
  parallel(context, items * tiles.count, [&](size_t task, size_t worker) {
    const size_t item = task / tiles.count, b = item / heads;
    const size_t begin = tiles.begin(task % tiles.count), end = tiles.end(task % tiles.count);
    const bool holds_class = class_row && begin <= batch.class_at[b] && batch.class_at[b] < end;
    kernels.softmax_rows(batch.attention[b], batch.scale, item % heads, begin, end, holds_class ? head_scores + item * tokens : nullptr, statistics_of(item),
                         workers + worker * need.worker);
  });
  if (!received) return;
  const size_t blocks = (tokens + kRowTile - 1) / kRowTile;
  std::fill(head_scores, head_scores + items * tokens, 0.0f);
  parallel(context, items * blocks, [&](size_t task, size_t worker) {
    const size_t item = task / blocks, begin = task % blocks * kRowTile, end = std::min(begin + kRowTile, tokens);
    kernels.received(batch.attention[item / heads], batch.scale, item % heads, begin, end, statistics_of(item), head_scores + item * tokens,
                     workers + worker * need.worker);
  });
}

void TokenAttention::mix_in_bytes(Ort::KernelContext& context, const Items& batch, float* head_scores) {
  const Int8AttentionKernels& kernels = int8_attention_kernels(kernels_in_use().isa);
  const Attention& any = batch.attention.front();
  const size_t tokens = any.tokens, heads = any.heads, rows = any.rows;
  const bool received = head_scores && score_ == Score::kReceived, class_row = head_scores && !received;
  // What tokens receive is summed share by share, so that the order does not depend on the threads.
  const size_t tiles = (rows + kernels.row_tile - 1) / kernels.row_tile, shares = received ? std::min<size_t>(tiles, 8) : tiles;
  const size_t items = batch.attention.size() * heads, each = kernels.packed(tokens, any.dim), summed = received ? items * shares * tokens : 0;
  const size_t worker_floats = kernels.scratch(tokens, any.dim), workers = std::min(items * shares, worker_limit());
  Scratch scratch(allocator_, items * each + workers * worker_floats + summed);
  float* const packed = scratch.take(items * each);
  float* const work = scratch.take(workers * worker_floats);
  float* const sums = scratch.take(summed);
  std::fill(sums, sums + summed, 0.0f);

  parallel(context, 2 * items, [&](size_t task, size_t) {
    const size_t item = task / 2;
    const Attention& a = batch.attention[item / heads];
    if (task % 2 == 0) {
      kernels.pack_keys(a, batch.scale, item % heads, packed + item * each);
    } else {
      kernels.pack_values(a, item % heads, packed + item * each);
    }
  });
  parallel(context, items * shares, [&](size_t task, size_t worker) {
    const size_t item = task / shares, share = task % shares, b = item / heads;
    for (size_t tile = share * tiles / shares; tile < (share + 1) * tiles / shares; ++tile) {
      kernels.rows(batch.attention[b], item % heads, tile * rows / tiles, (tile + 1) * rows / tiles, packed + item * each, batch.class_at[b],
                   class_row ? head_scores + item * tokens : nullptr, received ? sums + task * tokens : nullptr, work + worker * worker_floats);
    }
  });
  if (!received) return;
  std::fill(head_scores, head_scores + items * tokens, 0.0f);
  for (size_t i = 0; i < summed; ++i) head_scores[i / tokens / shares * tokens + i % tokens] += sums[i];
}

TokenScores::TokenScores(const Ort::ConstKernelInfo& info) : heads_(heads_attribute(info)) {
  prefix_ = prefix_attribute(info);
  by_column_ = choice_attribute(info, "source", {"cls_row", "cls_col"}) == 1;
  value_norm_ = integer_attribute(info, "value_norm", 0, 0, 1) == 1;
  renormalise_ = static_cast<Renormalise>(choice_attribute(info, "renormalise", {"none", "per_head", "total"}));
}

void TokenScores::compute(Ort::KernelContext& context) {
  const Projection p(context, heads_);
  const std::optional<Input> size = token_sizes(context, 1, p);
  const FloatOutput scored(context, 0, {p.qkv.shape[0], p.qkv.shape[1]});
  score(p, size, scored.data());
}

void TokenScores::score(const Projection& p, const std::optional<Input>& size, float* scores) {
  const Kernels& kernels = kernels_in_use();
  Scratch scratch(allocator_, (p.heads + 2) * p.tokens);
  float* rows = scratch.take(p.heads * p.tokens);
  float* logs = scratch.take(p.tokens);
  float* norms = scratch.take(p.tokens);
  for (size_t b = 0; b < p.batch; ++b) {
    float* out = scores + b * p.tokens;
    const Attention a{p.item(b), p.tokens, p.heads, p.dim, 0, nullptr, log_sizes(size, b, p.tokens, logs), nullptr};
    for (size_t h = 0; h < p.heads; ++h) {
      kernels.class_attention(a, default_scale(p.dim), h, by_column_, rows + h * p.tokens);
      if (renormalise_ == Renormalise::kPerHead) divide_by_patch_sum(rows + h * p.tokens, p.tokens, prefix_);
    }
    mean_over_heads(rows, p.heads, p.tokens, out);
    if (value_norm_) multiply_by_value_norms(kernels, a, norms, out);
    if (renormalise_ == Renormalise::kTotal) divide_by_patch_sum(out, p.tokens, prefix_);
  }
}

}  // namespace coppice
