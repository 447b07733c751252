#include "mlp_block.h"

#include <algorithm>

namespace coppice {

MlpBlock::MlpBlock(const Ort::ConstKernelInfo& info, size_t first, const std::string& norm)
    : norm_(info, first, norm), hidden_(static_cast<Hidden>(choice_attribute(info, "activation", {"gelu", "gelu_tanh", "swiglu"}))),
      fc1_(info, {first + 2, "fc1", first + 3, "fc1_bias", first + 4, "fc1_scale"}, norm_.width()) {
  size_t features = fc1_.columns();
  if (hidden_ == Hidden::kSwiglu && features % 2 != 0) {
    refuse("input fc1_bias must have an even length for activation=swiglu (gates, then values), found [" + std::to_string(features) + "].");
  }
  if (hidden_ == Hidden::kSwiglu) features /= 2;
  const ConstantInput u(info, first + 8, "fc2_u"), u_scale(info, first + 9, "fc2_u_scale"), fc2(info, first + 5, "fc2");
  if (u.given()) {
    // The second factor's depth: exact from the scales of an int8 first factor or from float panels; of int8 panels whole groups of four.
    const std::vector<int64_t>& panels = fc2.shape();
    if (panels.size() < 3) refuse("input fc2 must have panels of weights, found shape " + shape_text(panels) + ".");
    const auto rank = static_cast<size_t>(u_scale.given() && u_scale.shape().size() == 1 ? u_scale.shape()[0] : panels.size() == 4 ? 4 * panels[1] : panels[1]);
    fc2_u_.emplace(info, LinearLayer::Inputs{first + 8, "fc2_u", 0, nullptr, first + 9, "fc2_u_scale"}, features, rank);
    features = rank;
  } else if (has_attribute(info, "fc2_u_range")) {
    refuse("attribute fc2_u_range needs input fc2_u; connect it or leave the range out.");
  } else if (u_scale.given()) {
    refuse("input fc2_u_scale needs fc2_u; connect it or leave the scale out.");
  }
  fc2_.emplace(info, LinearLayer::Inputs{first + 5, "fc2", first + 6, "fc2_bias", first + 7, "fc2_scale"}, features);
  if (fc2_->columns() != norm_.width()) {
    refuse("input fc2_bias must have shape [" + std::to_string(norm_.width()) + "] to match " + norm + "_weight, found [" + std::to_string(fc2_->columns()) + "].");
  }
}

void MlpBlock::compute(Ort::KernelContext& context) {
  const Input x = block_input(context, norm_);
  const FloatOutput out(context, 0, x.shape);
  run(context, x.floats(), x.size(0) * x.size(1), out.data());
}

void MlpBlock::run(Ort::KernelContext& context, const float* x, size_t rows, float* y) {
  if (rows == 0) return;
  const RowShares shares(rows, linear_kernels(kernels_in_use().isa).row_tile);
  const RowStep step = this->step(x, rows, y);
  const size_t workers = std::min(shares.count, worker_limit());
  Scratch scratch(allocator_, workers * step.floats);
  float* const first = scratch.take(workers * step.floats);
  parallel(context, shares.count, [&](size_t share, size_t worker) {
    step.run(shares.begin(share), shares.begin(share + 1) - shares.begin(share), first + worker * step.floats);
  });
}

RowStep MlpBlock::step(const float* x, size_t rows, float* y) const {
  const LinearKernels& kernels = linear_kernels(kernels_in_use().isa);
  const size_t most = RowShares(rows, kernels.row_tile).longest();
  const size_t width = norm_.width(), hidden_width = fc1_.columns(), rank = fc2_u_ ? fc2_u_->columns() : 0;
  const Linear fc1 = fc1_.described(), fc2 = fc2_->described(), u = fc2_u_ ? fc2_u_->described() : Linear{};
  const size_t quantised = std::max({kernels.scratch(fc1, most), kernels.scratch(fc2, most), fc2_u_ ? kernels.scratch(u, most) : 0});
  return {most * (width + hidden_width + rank) + quantised, [=, &kernels](size_t begin, size_t count, float* normed) {
            const ConstRows source{x + begin * width, width};
            float* const hidden = normed + most * width;
            float* const compact = hidden + most * hidden_width;
            float* const bytes = compact + most * rank;
            kernels.layer_norm(norm_.described(), source, count, {normed, width});
            const Activation activation = hidden_ == Hidden::kGelu ? Activation::kGelu : hidden_ == Hidden::kGeluTanh ? Activation::kGeluTanh : Activation::kNone;
            kernels.linear(fc1, {{normed, width}, count, activation, {}, {hidden, hidden_width}}, bytes);
            if (hidden_ == Hidden::kSwiglu) kernels.swiglu({hidden, hidden_width}, count, hidden_width / 2);
            ConstRows last{hidden, hidden_width};
            if (fc2_u_) {
              kernels.linear(u, {last, count, Activation::kNone, {}, {compact, rank}}, bytes);
              last = {compact, rank};
            }
            kernels.linear(fc2, {last, count, Activation::kNone, source, {y + begin * width, width}}, bytes);
          }};
}

}  // namespace coppice
