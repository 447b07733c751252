#include "patch_merger.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "../kernels/patch_merger.h"

namespace coppice {

PatchMerger::PatchMerger(const Ort::ConstKernelInfo& info) {
  prefix_ = static_cast<size_t>(integer_attribute(info, "prefix_tokens", 0, 0, 1 << 20));
  over_outputs_ = choice_attribute(info, "softmax_axis", {"tokens", "outputs"}) == 1;
  scale_ = float_attribute(info, "scale", 1);
  layer_norm_ = integer_attribute(info, "layer_norm", 0, 0, 1) == 1;
  eps_ = float_attribute(info, "eps", 1e-5f);
}

void PatchMerger::compute(Ort::KernelContext& context) {
  const PatchMergerKernels& kernels = patch_merger_kernels(kernels_in_use().isa);
  const Input x = required(context, 0, "x", "B,N,D");
  const Input w = required(context, 1, "w", "D,M");
  const std::optional<Input> gamma = optional(context, 2, "gamma", "D"), beta = optional(context, 3, "beta", "D");
  const size_t batch = x.size(0), tokens = x.size(1), width = x.size(2), outputs = w.size(1);
  if (w.shape[0] != x.shape[2]) {
    refuse("input w must have shape [" + std::to_string(width) + ",M] to match x " + shape_text(x.shape) + ", found " + shape_text(w.shape) + ".");
  }
  if (width == 0 || outputs == 0) refuse("inputs x " + shape_text(x.shape) + " and w " + shape_text(w.shape) + " must have D and M of at least 1.");
  if (tokens <= prefix_) {
    refuse("input x " + shape_text(x.shape) + " must have at least one token after prefix_tokens=" + std::to_string(prefix_) + " to mix.");
  }
  for (const auto& [input, name] : {std::pair(&gamma, "gamma"), std::pair(&beta, "beta")}) {
    if (*input && !layer_norm_) refuse(std::string("input ") + name + " needs attribute layer_norm=1, found 0; set it or leave the input out.");
    if (*input) expect_shape(**input, name, {x.shape[2]}, "to match x");
  }
  const size_t rows = prefix_ + outputs;
  const FloatOutput mixed(context, 0, {x.shape[0], static_cast<int64_t>(rows), x.shape[2]});
  float* const y = mixed.data();
  if (batch == 0) return;

  std::vector<PatchMerge> items;
  for (size_t b = 0; b < batch; ++b) {
    const float* source = x.floats() + b * tokens * width;
    float* out = y + b * rows * width;
    std::memcpy(out, source, prefix_ * width * sizeof(float));
    items.push_back({source + prefix_ * width, tokens - prefix_, width, w.floats(), outputs,
                     scale_ > 0 ? scale_ : 1 / std::sqrt(static_cast<float>(width)), over_outputs_, layer_norm_,
                     gamma ? gamma->floats() : nullptr, beta ? beta->floats() : nullptr, eps_, out + prefix_ * width});
  }
  const size_t patches = tokens - prefix_;
  const PatchMergerScratch need = kernels.scratch(items[0]);
  Scratch scratch(allocator_, need.packed + batch * (need.rows + need.weights + need.columns));
  float* packed = scratch.take(need.packed);
  float* token_rows = scratch.take(batch * need.rows);
  float* weights = scratch.take(batch * need.weights);
  float* row_scale = scratch.take(batch * need.columns);
  kernels.pack_weights(items[0], packed);

  const size_t tiles = (patches + kTokenTile - 1) / kTokenTile;
  parallel(context, batch * tiles, [&](size_t task, size_t) {
    const size_t b = task / tiles, begin = task % tiles * kTokenTile, end = std::min(begin + kTokenTile, patches);
    kernels.token_logits(items[b], begin, end, packed, token_rows + b * need.rows, weights + b * need.weights);
  });
  const size_t mixes = (width + kMixTile - 1) / kMixTile;
  for (size_t b = 0; b < batch; ++b) kernels.softmax_tokens(items[b], 0, need.columns, weights + b * need.weights, row_scale + b * need.columns);
  parallel(context, batch * mixes, [&](size_t task, size_t) {
    const size_t b = task / mixes, begin = task % mixes * kMixTile, end = std::min(begin + kMixTile, width);
    kernels.mix_tokens(items[b], begin, end, token_rows + b * need.rows, weights + b * need.weights, row_scale + b * need.columns);
  });
}

}  // namespace coppice
