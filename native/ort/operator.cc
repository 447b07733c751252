#include "operator.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace coppice {
namespace {

size_t axis_count(const char* axes) { return static_cast<size_t>(std::count(axes, axes + std::strlen(axes), ',')) + 1; }

}  // namespace

bool has_attribute(const Ort::ConstKernelInfo& info, const char* name) {
  const OrtApi& api = Ort::GetApi();
  int64_t integer;
  float number;
  size_t length = 0, integers = 0, numbers = 0;  // of a list of another type, 0
  bool found = false;
  for (OrtStatus* status : {api.KernelInfoGetAttribute_int64(info, name, &integer), api.KernelInfoGetAttribute_float(info, name, &number),
                            api.KernelInfoGetAttribute_string(info, name, nullptr, &length)}) {
    found = found || status == nullptr;
    api.ReleaseStatus(status);
  }
  api.ReleaseStatus(api.KernelInfoGetAttributeArray_int64(info, name, nullptr, &integers));
  api.ReleaseStatus(api.KernelInfoGetAttributeArray_float(info, name, nullptr, &numbers));
  return found || integers + numbers > 0;
}

namespace {

bool present(const Ort::ConstKernelInfo& info, const char* name, OrtStatus* status, const char* type) {
  if (status == nullptr) return true;
  Ort::GetApi().ReleaseStatus(status);
  if (has_attribute(info, name)) refuse(std::string("attribute ") + name + " must be " + type + ".");
  return false;
}

}  // namespace

std::optional<Input> optional(Ort::KernelContext& context, size_t number, const char* name, const char* axes) {
  if (number >= context.GetInputCount()) return std::nullopt;
  Ort::ConstValue value = context.GetInput(number);
  if (value == nullptr) return std::nullopt;
  const Ort::TensorTypeAndShapeInfo info = value.GetTensorTypeAndShapeInfo();
  Input input;
  input.shape = info.GetShape();
  input.data = value.GetTensorRawData();
  if (axis_count(axes) != input.shape.size()) {
    refuse(std::string("input ") + name + " must have shape [" + axes + "], found " + shape_text(input.shape) + ".");
  }
  if (info.GetElementType() == kHalf) {
    input.widened.resize(info.GetElementCount());
    kernels_in_use().widen(static_cast<const uint16_t*>(input.data), input.widened.size(), input.widened.data());
    input.data = input.widened.data();
  }
  return input;
}

Input required(Ort::KernelContext& context, size_t number, const char* name, const char* axes) {
  std::optional<Input> input = optional(context, number, name, axes);
  if (!input) refuse(std::string("input ") + name + " is missing; connect a tensor of shape [" + axes + "].");
  return *std::move(input);
}

void expect_shape(const Input& input, const char* name, const std::vector<int64_t>& expected, const char* because) {
  if (input.shape == expected) return;
  refuse(std::string("input ") + name + " must have shape " + shape_text(expected) + " " + because + ", found " + shape_text(input.shape) + ".");
}

int64_t integer_attribute(const Ort::ConstKernelInfo& info, const char* name, int64_t fallback, int64_t low, int64_t high) {
  int64_t value = fallback;
  present(info, name, Ort::GetApi().KernelInfoGetAttribute_int64(info, name, &value), "an integer");
  if (value < low || value > high) {
    refuse(std::string("attribute ") + name + " must be " + std::to_string(low) + ".." + std::to_string(high) + ", found " +
           std::to_string(value) + ".");
  }
  return value;
}

float float_attribute(const Ort::ConstKernelInfo& info, const char* name, float fallback) {
  float value = fallback;
  present(info, name, Ort::GetApi().KernelInfoGetAttribute_float(info, name, &value), "a float");
  if (!(value >= 0) || value > 3e38f) refuse(std::string("attribute ") + name + " must be finite and not negative, found " + std::to_string(value) + ".");
  return value;
}

size_t choice_attribute(const Ort::ConstKernelInfo& info, const char* name, std::initializer_list<const char*> allowed) {
  size_t length = 0;
  if (!present(info, name, Ort::GetApi().KernelInfoGetAttribute_string(info, name, nullptr, &length), "a string")) return 0;
  const std::string value = info.GetAttribute<std::string>(name);
  std::string names;
  size_t number = 0;
  for (const char* candidate : allowed) {
    if (value == candidate) return number;
    names += (number++ ? ", " : "") + std::string(candidate);
  }
  refuse(std::string("attribute ") + name + " must be one of " + names + ", found " + value + ".");
}

size_t heads_attribute(const Ort::ConstKernelInfo& info) {
  return static_cast<size_t>(integer_attribute(info, "num_heads", 0, 1, 4096));
}

size_t prefix_attribute(const Ort::ConstKernelInfo& info) {
  return static_cast<size_t>(integer_attribute(info, "prefix_tokens", 1, 0, 1 << 20));
}

Projection::Projection(Input given, size_t heads) : qkv(std::move(given)), heads(heads) {
  batch = qkv.size(0);
  tokens = qkv.size(1);
  if (tokens == 0) refuse("input qkv must have at least one token, found shape " + shape_text(qkv.shape) + ".");
  if (qkv.size(2) == 0 || qkv.size(2) % (3 * heads) != 0) {
    refuse("input qkv must have shape [B,N,3D] with D a multiple of num_heads=" + std::to_string(heads) + ", found " + shape_text(qkv.shape) +
           "; export with the model's own head count.");
  }
  dim = qkv.size(2) / (3 * heads);
}

size_t query_rows(const std::optional<Input>& query_index, const Projection& projection) {
  if (!query_index) return projection.tokens;
  if (query_index->size(0) != projection.batch) {
    refuse("input query_index must have shape [" + std::to_string(projection.batch) + ",M] to match qkv " + shape_text(projection.qkv.shape) +
           ", found " + shape_text(query_index->shape) + ".");
  }
  const size_t rows = query_index->size(1);
  for (size_t i = 0; i < projection.batch * rows; ++i) {
    const int64_t token = query_index->integers()[i];
    if (token < 0 || token >= static_cast<int64_t>(projection.tokens)) {
      refuse("input query_index must name tokens 0.." + std::to_string(projection.tokens - 1) + ", found " + std::to_string(token) + ".");
    }
  }
  return rows;
}

std::optional<Input> token_sizes(Ort::KernelContext& context, size_t number, const Projection& projection) {
  std::optional<Input> size = optional(context, number, "size", "B,N");
  if (size) expect_shape(*size, "size", {projection.qkv.shape[0], projection.qkv.shape[1]}, "to match qkv");
  return size;
}

namespace {

// An allocator that the application registered may give null where ONNX Runtime's own throws.
void* memory_of(Ort::UnownedValue& value, size_t count) {
  void* const memory = value.GetTensorMutableRawData();
  if (memory == nullptr && count > 0) throw std::bad_alloc();
  return memory;
}

}  // namespace

int64_t* integer_output(Ort::KernelContext& context, size_t number, const std::vector<int64_t>& shape) {
  if (number >= context.GetOutputCount()) return nullptr;
  Ort::UnownedValue value = context.GetOutput(number, shape);
  if (value == nullptr) return nullptr;
  return static_cast<int64_t*>(memory_of(value, value.GetTensorTypeAndShapeInfo().GetElementCount()));
}

FloatOutput::FloatOutput(Ort::KernelContext& context, size_t number, const std::vector<int64_t>& shape) {
  if (number >= context.GetOutputCount()) return;
  Ort::UnownedValue value = context.GetOutput(number, shape);
  if (value == nullptr) return;
  used_ = true;
  const Ort::TensorTypeAndShapeInfo info = value.GetTensorTypeAndShapeInfo();
  size_ = info.GetElementCount();
  void* const memory = memory_of(value, size_);
  if (info.GetElementType() == kHalf) {
    wide_.resize(size_);
    data_ = wide_.data();
    half_ = static_cast<uint16_t*>(memory);
  } else {
    data_ = static_cast<float*>(memory);
  }
}

FloatOutput::FloatOutput(FloatOutput&& other) noexcept
    : used_(other.used_), size_(other.size_), data_(other.data_), half_(std::exchange(other.half_, nullptr)), wide_(std::move(other.wide_)) {}

FloatOutput::~FloatOutput() {
  if (half_ != nullptr) kernels_in_use().narrow(wide_.data(), wide_.size(), half_);
}

Scratch::Scratch(OrtAllocator* allocator, size_t floats) : allocator_(allocator), left_(floats) {
  memory_ = next_ = static_cast<float*>(allocator->Alloc(allocator, std::max<size_t>(floats, 1) * sizeof(float)));
  if (memory_ == nullptr) throw std::bad_alloc();
}

Scratch::~Scratch() { allocator_->Free(allocator_, memory_); }

float* Scratch::take(size_t floats) {
  if (floats > left_) throw std::length_error("scratch is too small");
  float* taken = next_;
  next_ += floats;
  left_ -= floats;
  return taken;
}

size_t worker_limit() {
  static const size_t limit = static_cast<size_t>(std::clamp<long>(sysconf(_SC_NPROCESSORS_ONLN), 1, 16));
  return limit;
}

const Kernels& kernels_in_use() {
  const Choice& choice = kernel_choice();
  if (choice.chosen == nullptr) refuse(choice.refusal);
  return *choice.chosen;
}

}  // namespace coppice
