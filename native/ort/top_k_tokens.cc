#include "top_k_tokens.h"

#include "../kernels/top_k.h"
#include "selection.h"

namespace coppice {

TopKTokens::TopKTokens(const Ort::ConstKernelInfo& info) {
  prefix_ = static_cast<size_t>(integer_attribute(info, "prefix_tokens", 1, 0, 1 << 20));
  fuse_ = integer_attribute(info, "fuse_pruned", 0, 0, 1) == 1;
  mean_ = integer_attribute(info, "normalize_fused", 1, 0, 1) == 1;
}

void TopKTokens::compute(Ort::KernelContext& context) {
  const Scored s(context, prefix_);
  const Input& scores = s.scores;
  const std::optional<Input>& x = s.x;
  const std::optional<Input> size = optional(context, 3, "size", "B,N");
  const size_t batch = s.batch, tokens = s.tokens, count = s.kept_patches(context);
  if (size) expect_shape(*size, "size", scores.shape, "to match scores");

  const size_t kept = prefix_ + count;
  const bool fused = fuse_ && kept < tokens;
  const size_t rows = kept + (fused ? 1 : 0);
  const size_t width = x ? x->size(2) : 0;
  const auto as_dimension = [](size_t n) { return static_cast<int64_t>(n); };
  int64_t* const index = integer_output(context, 0, {scores.shape[0], as_dimension(kept)});
  // Without x asked with a width of 1: an empty tensor has no address to tell an output apart from none.
  const FloatOutput gathered(context, 1, {scores.shape[0], as_dimension(rows), x ? x->shape[2] : 1});
  const FloatOutput summed(context, 2, {scores.shape[0], as_dimension(rows)});
  float *const y = gathered.data(), *const kept_size = summed.data();
  if (gathered.used() && !x) {
    refuse("output y needs input x of shape [" + std::to_string(batch) + "," + std::to_string(tokens) + ",D]; connect it or leave y out.");
  }
  if (summed.used() && !size) refuse("output kept_size needs input size of shape " + shape_text(scores.shape) + "; connect it or leave kept_size out.");

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
}

}  // namespace coppice
