#include "top_k_tokens.h"

#include "../kernels/top_k.h"

namespace coppice {

TopKTokens::TopKTokens(const Ort::ConstKernelInfo& info) {
  prefix_ = prefix_attribute(info);
  fuse_ = integer_attribute(info, "fuse_pruned", 0, 0, 1) == 1;
  mean_ = integer_attribute(info, "normalize_fused", 1, 0, 1) == 1;
}

void TopKTokens::compute(Ort::KernelContext& context) {
  const Scored s(context, prefix_);
  const std::optional<Input> size = optional(context, 3, "size", "B,N");
  const size_t count = s.kept_patches(context, 1);
  if (size) expect_shape(*size, "size", s.scores.shape, "to match scores");
  select(context, s, count, size, {1, 0, 2});
}

FloatOutput TopKTokens::select(Ort::KernelContext& context, const Scored& s, size_t count, const std::optional<Input>& size,
                               const SelectionOutputs& outputs) const {
  const Input& scores = s.scores;
  const std::optional<Input>& x = s.x;
  const size_t batch = s.batch, tokens = s.tokens;
  const size_t kept = prefix_ + count;
  const bool fused = fuse_ && kept < tokens;
  const size_t rows = kept + (fused ? 1 : 0);
  const size_t width = x ? x->size(2) : 0;
  const auto as_dimension = [](size_t n) { return static_cast<int64_t>(n); };
  int64_t* index = integer_output(context, outputs.index, {scores.shape[0], as_dimension(kept)});
  // Without x asked with a width of 1: an empty tensor has no address to tell an output apart from none.
  FloatOutput gathered(context, outputs.y, {scores.shape[0], as_dimension(rows), x ? x->shape[2] : 1});
  const FloatOutput summed(context, outputs.size, {scores.shape[0], as_dimension(rows)});
  float *const y = gathered.data(), *const kept_size = summed.data();
  if (gathered.used() && !x) {
    refuse("output y needs input x of shape [" + std::to_string(batch) + "," + std::to_string(tokens) + ",D]; connect it or leave y out.");
  }
  if (summed.used() && !size) refuse("output kept_size needs input size of shape " + shape_text(scores.shape) + "; connect it or leave kept_size out.");

  std::vector<int64_t> unasked(index ? 0 : batch * kept);
  if (index == nullptr) index = unasked.data();
  std::vector<uint32_t> order(s.patches());
  for (size_t b = 0; b < batch; ++b) {
    int64_t* chosen = index + b * kept;
    top_k_tokens(s.item(b), tokens, prefix_, count, chosen, order.data());
    if (y) {
      const float* source = x->floats() + b * tokens * width;
      float* out = y + b * rows * width;
      gather_rows(source, width, chosen, kept, out);
      if (fused) fuse_pruned(s.item(b), source, tokens, width, chosen, kept, mean_, out + kept * width);
    }
    if (kept_size) {
      const float* source = size->floats() + b * tokens;
      float* out = kept_size + b * rows;
      gather_rows(source, 1, chosen, kept, out);
      if (fused) out[kept] = pruned_size(source, tokens, chosen, kept);
    }
  }
  return gathered;
}

}  // namespace coppice
