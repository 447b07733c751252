#include "hallucinated_attention.h"

namespace coppice {

HallucinatedAttention::HallucinatedAttention(const Ort::ConstKernelInfo& info) : heads_(heads_attribute(info)) {
  dw_kernel_ = static_cast<size_t>(integer_attribute(info, "dw_kernel", 0, 0, 3));
  if (dw_kernel_ == 2) refuse("attribute dw_kernel must be 0, 1 or 3, found 2.");
  before_softmax_ = choice_attribute(info, "stage", {"post_softmax", "pre_softmax"}) == 1;
  renorm_ = static_cast<Renorm>(choice_attribute(info, "renorm", {"none", "row_sum", "layernorm"}));
  eps_ = float_attribute(info, "eps", 1e-6f);
  if (before_softmax_ && renorm_ == Renorm::kRowSum) {
    refuse("attribute renorm=row_sum needs stage=post_softmax, found stage=pre_softmax; the softmax already makes the rows sum to 1, use renorm=none.");
  }
}

Hallucination HallucinatedAttention::described(const Input& qkv, const std::optional<Input>& mix, const std::optional<Input>& dw) const {
  const auto as_dimension = [](size_t n) { return static_cast<int64_t>(n); };

  if (!mix && !dw) refuse("inputs mix and dw are both missing; connect mix [Hg,Hr], dw [Hg,k,k] or both.");
  if (dw && dw_kernel_ == 0) refuse("input dw of shape " + shape_text(dw->shape) + " needs attribute dw_kernel=1 or 3, found 0; set it or leave dw out.");
  if (!dw && dw_kernel_ != 0) {
    refuse("attribute dw_kernel=" + std::to_string(dw_kernel_) + " needs input dw of shape [Hg," + std::to_string(dw_kernel_) + "," +
           std::to_string(dw_kernel_) + "]; connect it or set dw_kernel=0.");
  }
  const Input& made = mix ? *mix : *dw;
  const size_t hallucinated = made.size(0), real = heads_ - std::min(hallucinated, heads_);
  if (hallucinated == 0 || real == 0) {
    refuse(std::string("input ") + (mix ? "mix" : "dw") + " must make 1.." + std::to_string(heads_ - 1) + " of num_heads=" + std::to_string(heads_) +
           " heads, found shape " + shape_text(made.shape) + "; TokenAttention computes all heads.");
  }
  if (mix) {
    expect_shape(*mix, "mix", {as_dimension(hallucinated), as_dimension(real)}, ("to make num_heads=" + std::to_string(heads_) + " heads").c_str());
  }
  if (dw) {
    expect_shape(*dw, "dw", {as_dimension(hallucinated), as_dimension(dw_kernel_), as_dimension(dw_kernel_)},
                 mix ? ("to match mix " + shape_text(mix->shape) + " and dw_kernel").c_str() : "to match dw_kernel");
  }
  const size_t tokens = qkv.size(1), parts = 2 * real + heads_;
  if (tokens == 0) refuse("input qkv must have at least one token, found shape " + shape_text(qkv.shape) + ".");
  if (qkv.size(2) == 0 || qkv.size(2) % parts != 0) {
    refuse("input qkv must have shape [B,N,(2Hr+H)d], a multiple of 2*" + std::to_string(real) + "+" + std::to_string(heads_) + " wide (" +
           std::to_string(real) + " computed of num_heads=" + std::to_string(heads_) + " heads), found " + shape_text(qkv.shape) +
           "; export with the model's own head counts.");
  }
  if (renorm_ == Renorm::kLayerNorm && hallucinated == 1) {
    refuse("attribute renorm=layernorm needs two or more hallucinated heads to normalise over, found " + shape_text(made.shape) +
           "; use renorm=none or row_sum.");
  }
  return {qkv.floats(), tokens, real, hallucinated, qkv.size(2) / parts, mix ? mix->floats() : nullptr, dw ? dw->floats() : nullptr,
          dw_kernel_, before_softmax_, renorm_, eps_, nullptr};
}

void HallucinatedAttention::compute(Ort::KernelContext& context) {
  const Input qkv = required(context, 0, "qkv", "B,N,(2Hr+H)d");
  const std::optional<Input> mix = optional(context, 1, "mix", "Hg,Hr"), dw = optional(context, 2, "dw", "Hg,k,k");
  Hallucination h = described(qkv, mix, dw);
  const FloatOutput mixed(context, 0, {qkv.shape[0], qkv.shape[1], static_cast<int64_t>(heads_ * h.dim)});
  h.y = mixed.data();
  attend(context, h, qkv.size(0));
}

void HallucinatedAttention::attend(Ort::KernelContext& context, const Hallucination& first, size_t batch) {
  const HallucinationKernels& kernels = hallucination_kernels(kernels_in_use().isa);
  const size_t tokens = first.tokens, row = (2 * first.real + heads_) * first.dim;
  if (batch == 0) return;
  auto item = [&](size_t b) {
    Hallucination h = first;
    h.qkv += b * tokens * row;
    h.y += b * tokens * heads_ * first.dim;
    return h;
  };
  const HallucinationScratch need = kernels.scratch(first);
  Scratch scratch(allocator_, batch * need.packed + worker_limit() * need.worker);
  float* packed = scratch.take(batch * need.packed);
  float* workers = scratch.take(worker_limit() * need.worker);

  parallel(context, batch * heads_, [&](size_t task, size_t) {
    const size_t b = task / heads_;
    kernels.pack_head(item(b), task % heads_, packed + b * need.packed);
  });
  const size_t tiles = (tokens + kHallucinatedRows - 1) / kHallucinatedRows;
  parallel(context, batch * tiles, [&](size_t task, size_t worker) {
    const size_t b = task / tiles, begin = task % tiles * kHallucinatedRows, end = std::min(begin + kHallucinatedRows, tokens);
    kernels.rows(item(b), begin, end, packed + b * need.packed, workers + worker * need.worker);
  });
}

}  // namespace coppice
