#include "selection.h"

#include <algorithm>

#include "../kernels/top_k.h"

namespace coppice {
namespace {

Ort::ConstValue single_value(Ort::KernelContext& context, size_t number, const char* name) {
  Ort::ConstValue value = context.GetInput(number);
  const std::vector<int64_t> shape = value.GetTensorTypeAndShapeInfo().GetShape();
  if (!shape.empty() && shape != std::vector<int64_t>{1}) {
    refuse(std::string("input ") + name + " must be a scalar or have shape [1], found " + shape_text(shape) + ".");
  }
  return value;
}

}  // namespace

int64_t integer_value(Ort::KernelContext& context, size_t number, const char* name) {
  return *single_value(context, number, name).GetTensorData<int64_t>();
}

float float_value(Ort::KernelContext& context, size_t number, const char* name) {
  const Ort::ConstValue value = single_value(context, number, name);
  if (value.GetTensorTypeAndShapeInfo().GetElementType() == kFloat) return *value.GetTensorData<float>();
  float widened;
  kernels_in_use().widen(static_cast<const uint16_t*>(value.GetTensorRawData()), 1, &widened);
  return widened;
}

Scored::Scored(Ort::KernelContext& context, size_t prefix)
    : Scored(required(context, 0, "scores", "B,N"), optional(context, 2, "x", "B,N,D"), prefix) {}

Scored::Scored(Input given, std::optional<Input> tokens_given, size_t prefix) : scores(std::move(given)), x(std::move(tokens_given)), prefix(prefix) {
  batch = scores.size(0);
  tokens = scores.size(1);
  if (prefix > tokens) {
    refuse("scores " + shape_text(scores.shape) + " has fewer tokens than prefix_tokens=" + std::to_string(prefix) + ".");
  }
  if (x && (x->shape[0] != scores.shape[0] || x->shape[1] != scores.shape[1])) {
    refuse("input x must have shape [" + std::to_string(batch) + "," + std::to_string(tokens) + ",D] to match scores, found " +
           shape_text(x->shape) + ".");
  }
}

size_t Scored::kept_patches(Ort::KernelContext& context, size_t number) const {
  const int64_t count = integer_value(context, number, "count");
  if (count < 0 || count > static_cast<int64_t>(patches())) {
    refuse("count must be 0.." + std::to_string(patches()) + " (tokens " + std::to_string(tokens) + " less prefix_tokens " + std::to_string(prefix) +
           "), found " + std::to_string(count) + ".");
  }
  return static_cast<size_t>(count);
}

void expect_one_item(const Input& input, const char* name, bool pad) {
  if (pad || input.size(0) <= 1) return;
  refuse(std::string("input ") + name + " " + shape_text(input.shape) + " has " + std::to_string(input.size(0)) +
         " batch items whose results differ in length; run one at a time, or set attribute pad=1.");
}

FloatOutput RaggedSelection::write(Ort::KernelContext& context, const Scored& s, bool pad, const SelectionOutputs& outputs) const {
  const size_t rows = pad || s.batch == 0 ? most_ : kept_[0];
  const int64_t row_axis = static_cast<int64_t>(rows);
  FloatOutput gathered(context, outputs.y, {s.scores.shape[0], row_axis, s.x ? s.x->shape[2] : 0});
  float* const y = gathered.data();
  if (gathered.used() && !s.x) {
    refuse("output y needs input x of shape [" + std::to_string(s.batch) + "," + std::to_string(s.tokens) + ",D]; connect it or leave y out.");
  }
  int64_t* const index = integer_output(context, outputs.index, {s.scores.shape[0], row_axis});
  int64_t* const count = integer_output(context, outputs.kept_count, {s.scores.shape[0]});
  const size_t width = s.x ? s.x->size(2) : 0;
  for (size_t b = 0; b < s.batch; ++b) {
    const int64_t* kept = index_.data() + b * most_;
    if (index) std::fill(std::copy(kept, kept + kept_[b], index + b * rows), index + (b + 1) * rows, 0);
    if (count) count[b] = static_cast<int64_t>(kept_[b]);
    if (y == nullptr) continue;
    float* out = y + b * rows * width;
    gather_rows(s.x->floats() + b * s.tokens * width, width, kept, kept_[b], out);
    std::fill(out + kept_[b] * width, out + rows * width, 0.0f);
  }
  return gathered;
}

}  // namespace coppice
