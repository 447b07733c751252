#include "linear_layer.h"

#include <algorithm>
#include <cmath>

namespace coppice {
namespace {

std::string axis(size_t n) { return std::to_string(n); }

size_t up(size_t n, size_t step) { return (n + step - 1) / step; }

// Of an int8 layer's input; two zeros where there is none.
std::array<float, 2> range_attribute(const Ort::ConstKernelInfo& info, const std::string& weight_name, bool bytes) {
  const std::string name = weight_name + "_range";
  const auto range = list_attribute<float, 2>(info, name.c_str(), {0, 0});
  if (range[0] == 0 && range[1] == 0) return range;
  if (!bytes) refuse("attribute " + name + " needs int8 weights in " + weight_name + "; leave it out.");
  const float unit = (range[1] - range[0]) / 254;
  if (!(range[0] <= 0 && range[1] >= 0 && std::isnormal(unit))) {
    refuse("attribute " + name + " must be the least and the greatest input, low <= 0 <= high, at least 3e-36 and at most 3.4e38 apart, found " +
           std::to_string(range[0]) + " and " + std::to_string(range[1]) + "; calibrate it with the export.");
  }
  return range;
}

}  // namespace

ConstantInput::ConstantInput(const Ort::ConstKernelInfo& info, size_t number, const char* name) : name_(name) {
  if (name == nullptr || number >= info.GetInputCount() || info.GetInputName(number).empty()) return;
  int constant = 0;
  const Ort::ConstValue value = info.GetTensorConstantInput(number, &constant);
  if (!constant) refuse(std::string("input ") + name + " must be a constant of the model (an initializer), found a computed tensor.");
  const Ort::TensorTypeAndShapeInfo tensor = value.GetTensorTypeAndShapeInfo();
  given_ = true;
  type_ = tensor.GetElementType();
  shape_ = tensor.GetShape();
  data_ = value.GetTensorRawData();
}

std::vector<float> ConstantInput::vector(size_t length) const {
  const std::string expected = length > 0 ? "[" + axis(length) + "]" : "[n], n at least 1";
  if (!given_) refuse(std::string("input ") + name_ + " is missing; connect a constant of shape " + expected + ".");
  if (shape_.size() != 1 || shape_[0] == 0 || (length > 0 && shape_[0] != static_cast<int64_t>(length))) {
    refuse(std::string("input ") + name_ + " must have shape " + expected + ", found " + shape_text(shape_) + ".");
  }
  std::vector<float> values(static_cast<size_t>(shape_[0]));
  if (type_ == kHalf) {
    kernels_in_use().widen(static_cast<const uint16_t*>(data_), values.size(), values.data());
  } else {
    std::copy_n(static_cast<const float*>(data_), values.size(), values.begin());
  }
  return values;
}

LinearLayer::LinearLayer(const Ort::ConstKernelInfo& info, const Inputs& inputs, size_t depth, size_t columns) : depth_(depth), columns_(columns) {
  const ConstantInput weight(info, inputs.weight, inputs.weight_name), bias(info, inputs.bias, inputs.bias_name), scale(info, inputs.scale, inputs.scale_name);
  if (inputs.bias_name != nullptr) {
    bias_ = bias.vector(0);
    columns_ = bias_.size();
  }
  const std::string name = std::string("input ") + inputs.weight_name;
  if (!weight.given()) refuse(name + " is missing; connect packed weights, a constant of the model.");
  switch (weight.type()) {
    case kFloat: type_ = WeightType::kFloat; break;
    case kHalf: type_ = WeightType::kHalf; break;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8: type_ = WeightType::kInt8; break;
    default: refuse(name + " must be float32, float16 or int8, found ONNX element type " + std::to_string(weight.type()) + ".");
  }
  const bool bytes = type_ == WeightType::kInt8;
  std::vector<int64_t> expected{static_cast<int64_t>(up(columns_, kWeightPanel)), static_cast<int64_t>(bytes ? up(depth_, 4) : depth_), kWeightPanel};
  if (bytes) expected.push_back(4);
  if (weight.shape() != expected) {
    refuse(name + " must have shape " + shape_text(expected) + ", panels of " + axis(depth_) + " inputs and " + axis(columns_) + " outputs, found " +
           shape_text(weight.shape()) + ".");
  }
  if (scale.given() != bytes) {
    refuse(std::string("input ") + inputs.scale_name + (bytes ? " is missing; int8 weights need one scale for each of " + axis(columns_) + " outputs."
                                                              : " needs int8 weights in " + std::string(inputs.weight_name) + "; leave it out."));
  }
  range_ = range_attribute(info, inputs.weight_name, bytes);
  weight_ = weight.data();
  if (!bytes) return;
  if (depth_ > kMaxInt8Depth) refuse(name + " of int8 may have at most " + axis(kMaxInt8Depth) + " inputs, found " + axis(depth_) + "; leave it in float32.");
  scale_ = scale.vector(columns_);
  weight_sum_.resize(columns_);
  const auto* next = static_cast<const int8_t*>(weight_);
  for (size_t panel = 0; panel < static_cast<size_t>(expected[0]); ++panel) {
    for (size_t step = 0; step < static_cast<size_t>(expected[1]); ++step) {
      for (size_t i = 0; i < 4 * kWeightPanel; ++i, ++next) {
        const size_t column = panel * kWeightPanel + i / 4, k = 4 * step + i % 4;
        const bool inside = column < columns_ && k < depth_;
        if (*next == -128 || (!inside && *next != 0)) {
          refuse(name + (inside ? " must hold -127..127, found -128" : " must hold zeros where it has no input or output, found " + std::to_string(*next)) +
                 "; pack it with the export.");
        }
        if (inside) weight_sum_[column] += *next;
      }
    }
  }
}

Linear LinearLayer::described() const {
  return {type_, depth_, columns_, weight_, scale_.empty() ? nullptr : scale_.data(), weight_sum_.empty() ? nullptr : weight_sum_.data(),
          bias_.empty() ? nullptr : bias_.data(), range_[0], range_[1]};
}

NormLayer::NormLayer(const Ort::ConstKernelInfo& info, size_t first, const std::string& name)
    : name(name), weight(ConstantInput(info, first, (name + "_weight").c_str()).vector(0)),
      bias(ConstantInput(info, first + 1, (name + "_bias").c_str()).vector(weight.size())),
      epsilon(float_attribute(info, "epsilon", 1e-6f)) {}

Input block_input(Ort::KernelContext& context, const NormLayer& norm) {
  Input x = required(context, 0, "x", "B,N,D");
  if (x.size(2) != norm.width()) {
    refuse("input x must have shape [B,N," + std::to_string(norm.width()) + "] to match " + norm.name + "_weight, found " + shape_text(x.shape) + ".");
  }
  return x;
}

}  // namespace coppice
