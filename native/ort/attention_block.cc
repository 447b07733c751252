#include "attention_block.h"

#include <algorithm>
#include <cstring>

namespace coppice {

AttentionBlock::Attention AttentionBlock::attention(const Ort::ConstKernelInfo& info) {
  const size_t kind = choice_attribute(info, "attention", {"softmax", "linear", "hallucinated"});
  const bool in_bytes = choice_attribute(info, "attention_precision", {"float32", "int8"}) == 1;
  if (kind == 0) return TokenAttention(info, in_bytes);
  if (in_bytes) {
    refuse("attribute attention_precision=int8 needs attribute attention=softmax, found " + std::string(kind == 1 ? "linear" : "hallucinated") +
           "; leave it at float32.");
  }
  if (info.GetOutputCount() > 1 && !info.GetOutputName(1).empty()) {
    refuse("output scores needs attribute attention=softmax, found " + std::string(kind == 1 ? "linear" : "hallucinated") +
           "; connect TokenScores to output projection, or leave the output out.");
  }
  if (kind == 1) return LinearAttention(info);
  return HallucinatedAttention(info);
}

// Features of all heads' values side by side.
size_t AttentionBlock::mixed_width(const Ort::ConstKernelInfo& info) const {
  size_t real = heads_;
  if (std::holds_alternative<HallucinatedAttention>(attention_)) {
    const ConstantInput mix(info, 12, "mix"), dw(info, 13, "dw");
    const std::vector<int64_t>& made = mix.given() ? mix.shape() : dw.shape();
    if (!made.empty()) real -= static_cast<size_t>(std::min(made[0], static_cast<int64_t>(heads_)));
  }
  const size_t parts = 2 * real + heads_;
  if (qkv_.columns() % parts != 0) {
    refuse("input qkv_bias must have a length that is a multiple of " + std::to_string(parts) + " (num_heads=" + std::to_string(heads_) + ", " +
           std::to_string(real) + " of them computed), found [" + std::to_string(qkv_.columns()) + "]; export with the model's own head count.");
  }
  return qkv_.columns() / parts * heads_;
}

AttentionBlock::AttentionBlock(const Ort::ConstKernelInfo& info, const std::string& norm)
    : attention_(attention(info)), heads_(heads_attribute(info)), norm_(info, 1, norm),
      qkv_(info, {3, "qkv", 4, "qkv_bias", 5, "qkv_scale"}, norm_.width()), proj_(info, {6, "proj", 7, "proj_bias", 8, "proj_scale"}, mixed_width(info)) {
  if (proj_.columns() != norm_.width()) {
    refuse("input proj_bias must have shape [" + std::to_string(norm_.width()) + "] to match " + norm + "_weight, found [" + std::to_string(proj_.columns()) + "].");
  }
  // What an attention has no use for is refused, not ignored.
  const auto refuse_unless = [&](bool used, size_t number, const char* name, const char* needs) {
    if (!used && number < info.GetInputCount() && !info.GetInputName(number).empty()) {
      refuse(std::string("input ") + name + " needs attribute attention=" + needs + "; set it or leave the input out.");
    }
  };
  const bool linear = std::holds_alternative<LinearAttention>(attention_), hallucinated = std::holds_alternative<HallucinatedAttention>(attention_);
  refuse_unless(!hallucinated, 9, "query_index", "softmax or linear");
  refuse_unless(linear, 10, "positions", "linear");
  refuse_unless(!hallucinated, 11, "size", "softmax or linear");
  refuse_unless(hallucinated, 12, "mix", "hallucinated");
  refuse_unless(hallucinated, 13, "dw", "hallucinated");
}

AttentionBlock::Call AttentionBlock::call(Ort::KernelContext& context) const {
  Call call;
  call.x = block_input(context, norm_);
  if (call.x.size(1) == 0) refuse("input x must have at least one token, found shape " + shape_text(call.x.shape) + ".");
  call.query_index = optional(context, 9, "query_index", "B,M");
  call.positions = optional(context, 10, "positions", "B,N");
  call.mix = optional(context, 12, "mix", "Hg,Hr");
  call.dw = optional(context, 13, "dw", "Hg,k,k");
  call.rows = call.x.size(1);
  Input projection;
  projection.shape = {call.x.shape[0], call.x.shape[1], static_cast<int64_t>(qkv_.columns())};
  if (const auto* hallucinated = std::get_if<HallucinatedAttention>(&attention_)) {
    call.maps = hallucinated->described(projection, call.mix, call.dw);
    return call;
  }
  const Projection& p = call.projection.emplace(std::move(projection), heads_);
  call.size = token_sizes(context, 11, p);
  call.rows = query_rows(call.query_index, p);
  if (const auto* linear = std::get_if<LinearAttention>(&attention_)) linear->check(p, call.positions);
  if (const auto* softmax = std::get_if<TokenAttention>(&attention_)) softmax->check(p);
  return call;
}

void AttentionBlock::compute(Ort::KernelContext& context) {
  Call call = this->call(context);
  const std::vector<int64_t>& x = call.x.shape;
  const FloatOutput out(context, 0, {x[0], static_cast<int64_t>(call.rows), x[2]}), scored(context, 1, {x[0], x[1]}),
      handed_on(context, 2, {x[0], x[1], static_cast<int64_t>(qkv_.columns())});
  run(context, call, out.data(), scored.data(), handed_on.data());
}

void AttentionBlock::run(Ort::KernelContext& context, Call& call, float* out, float* scores, float* projection, const RowStep& next) {
  const LinearKernels& kernels = linear_kernels(kernels_in_use().isa);
  const Input& x = call.x;
  const std::optional<Input>& query_index = call.query_index;
  const size_t width = norm_.width(), mixed_width = proj_.depth(), rows = call.rows, tokens = x.size(0) * x.size(1);
  if (x.size(0) == 0) return;
  const Linear qkv = qkv_.described(), proj = proj_.described();
  Scratch projection_memory(allocator_, projection ? 0 : tokens * qkv_.columns());
  float* const qkv_rows = projection ? projection : projection_memory.take(tokens * qkv_.columns());

  const RowShares before(tokens, kernels.row_tile), after(x.size(0) * rows, kernels.row_tile);
  const size_t worker_floats = before.longest() * width + kernels.scratch(qkv, before.longest()), last_floats = kernels.scratch(proj, after.longest());
  const size_t workers = std::min(std::max(before.count, after.count), worker_limit()), each = std::max({worker_floats, last_floats, next.floats});
  Scratch scratch(allocator_, x.size(0) * rows * mixed_width + workers * each);
  float* const mixed = scratch.take(x.size(0) * rows * mixed_width);
  float* const first = scratch.take(workers * each);

  parallel(context, before.count, [&](size_t share, size_t worker) {
    const size_t begin = before.begin(share), count = before.begin(share + 1) - begin;
    float* const normed = first + worker * each;
    kernels.layer_norm(norm_.described(), {x.floats() + begin * width, width}, count, {normed, width});
    kernels.linear(qkv, {{normed, width}, count, Activation::kNone, {}, {qkv_rows + begin * qkv_.columns(), qkv_.columns()}},
                   normed + before.longest() * width);
  });
  if (auto* hallucinated = std::get_if<HallucinatedAttention>(&attention_)) {
    call.maps.qkv = qkv_rows;
    call.maps.y = mixed;
    hallucinated->attend(context, call.maps, x.size(0));
  } else {
    call.projection->qkv.data = qkv_rows;
    if (auto* softmax = std::get_if<TokenAttention>(&attention_)) {
      softmax->attend(context, *call.projection, query_index, call.size, mixed, scores);
    } else {
      std::get<LinearAttention>(attention_).attend(context, *call.projection, query_index, call.positions, call.size, mixed);
    }
  }
  parallel(context, after.count, [&](size_t share, size_t worker) {
    const size_t begin = after.begin(share), count = after.begin(share + 1) - begin;
    float* const y = out + begin * width;
    ConstRows residual{x.floats() + begin * width, width};
    if (query_index) {
      for (size_t r = 0; r < count; ++r) {
        const size_t item = (begin + r) / rows, token = static_cast<size_t>(query_index->integers()[begin + r]);
        std::memcpy(y + r * width, x.floats() + (item * x.size(1) + token) * width, width * sizeof(float));
      }
      residual.first = y;
    }
    kernels.linear(proj, {{mixed + begin * mixed_width, mixed_width}, count, Activation::kNone, residual, {y, width}}, first + worker * each);
    if (next.run) next.run(begin, count, first + worker * each);
  });
}

}  // namespace coppice
