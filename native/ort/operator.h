// What the operators' adapters share: ONNX Runtime's types, shapes in sentences, scratch, and work on its thread pool.
#pragma once

#define ORT_API_MANUAL_INIT
#include <onnxruntime_cxx_api.h>
#undef ORT_API_MANUAL_INIT

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "../kernels/isa.h"

namespace coppice {

// A refusal; becomes an ORT_INVALID_ARGUMENT status at the border.
struct Refusal {
  std::string message;
};

[[noreturn]] inline void refuse(std::string message) { throw Refusal{std::move(message)}; }

inline std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? "," : "") + std::to_string(shape[i]);
  return text + "]";
}

// Runs `body` and turns whatever it throws into a status: no exception leaves the library, not even for want of the memory that
// a sentence takes.
template <class Body>
OrtStatusPtr guarded(const char* name, Body body) noexcept {
  const OrtApi& api = Ort::GetApi();
  char text[256];
  try {
    try {
      body();
      return nullptr;
    } catch (const Refusal& refusal) {
      return api.CreateStatus(ORT_INVALID_ARGUMENT, (std::string(name) + ": " + refusal.message).c_str());
    } catch (const Ort::Exception& error) {
      return api.CreateStatus(error.GetOrtErrorCode(), error.what());
    }
  } catch (const std::bad_alloc&) {
    std::snprintf(text, sizeof(text), "%s: out of memory", name);
  } catch (const std::exception& error) {
    std::snprintf(text, sizeof(text), "%s: %s", name, error.what());
  } catch (...) {
    std::snprintf(text, sizeof(text), "%s: failed for an unknown reason", name);
  }
  return api.CreateStatus(ORT_FAIL, text);
}

// An input tensor, read only. Moves, as `data` may point into what it owns.
struct Input {
  std::vector<int64_t> shape;
  const void* data = nullptr;
  std::vector<float> widened;  // the values of a float16 tensor

  Input() = default;
  Input(Input&&) = default;
  Input& operator=(Input&&) = default;

  size_t size(size_t axis) const { return static_cast<size_t>(shape[axis]); }
  const float* floats() const { return static_cast<const float*>(data); }
  const int64_t* integers() const { return static_cast<const int64_t*>(data); }
};

// Input `number`; `axes` names its axes for the refusal of another rank, as in "B,N,D".
Input required(Ort::KernelContext& context, size_t number, const char* name, const char* axes);
std::optional<Input> optional(Ort::KernelContext& context, size_t number, const char* name, const char* axes);
// Refuses an input whose shape is not exactly `expected`.
void expect_shape(const Input& input, const char* name, const std::vector<int64_t>& expected, const char* because);

// Attributes with their defaults; a value outside `allowed` is refused by name.
int64_t integer_attribute(const Ort::ConstKernelInfo& info, const char* name, int64_t fallback, int64_t low, int64_t high);
float float_attribute(const Ort::ConstKernelInfo& info, const char* name, float fallback);
size_t choice_attribute(const Ort::ConstKernelInfo& info, const char* name, std::initializer_list<const char*> allowed);
size_t heads_attribute(const Ort::ConstKernelInfo& info);
size_t prefix_attribute(const Ort::ConstKernelInfo& info);
// Of whichever type, no empty list: ONNX Runtime reports a missing attribute and one of another type alike.
bool has_attribute(const Ort::ConstKernelInfo& info, const char* name);

// `fallback` where the attribute is absent or an empty list.
template <class T, size_t length>
std::array<T, length> list_attribute(const Ort::ConstKernelInfo& info, const char* name, std::array<T, length> fallback) {
  std::vector<T> values;
  try {
    values = info.GetAttributes<T>(name);
  } catch (const Ort::Exception&) {  // absent
  }
  if (values.empty()) {
    if (has_attribute(info, name)) refuse(std::string("attribute ") + name + " must be a list of " + (std::is_same_v<T, float> ? "floats." : "integers."));
    return fallback;
  }
  if (values.size() != length) {
    refuse(std::string("attribute ") + name + " must have " + std::to_string(length) + " values, found " + std::to_string(values.size()) + ".");
  }
  std::copy(values.begin(), values.end(), fallback.begin());
  return fallback;
}

// The packed projection qkv[B, N, 3 * heads * dim], refused unless the head count divides it.
struct Projection {
  Input qkv;
  size_t batch, tokens, heads, dim;

  // Input 0, or a projection of the same shape that was just computed.
  Projection(Ort::KernelContext& context, size_t heads) : Projection(required(context, 0, "qkv", "B,N,3D"), heads) {}
  Projection(Input given, size_t heads);
  size_t width() const { return heads * dim; }
  const float* item(size_t b) const { return qkv.floats() + b * tokens * 3 * width(); }
};

// query_index[B, M]: M, or the projection's tokens without it; every entry is checked.
size_t query_rows(const std::optional<Input>& query_index, const Projection& projection);
// size[B, N] of the projection's tokens.
std::optional<Input> token_sizes(Ort::KernelContext& context, size_t number, const Projection& projection);

// Memory from the session's arena for the length of one Compute.
class Scratch {
 public:
  Scratch(OrtAllocator* allocator, size_t floats);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // The next `floats` of the memory.
  float* take(size_t floats);

 private:
  OrtAllocator* allocator_;
  float* memory_;
  size_t left_;
  float* next_;
};

// The number of calls of `parallel` that may run side by side.
size_t worker_limit();

// Calls task(number, worker) for each number below `tasks` on the session's own threads; `worker` is below
// min(tasks, worker_limit()) and no two calls with the same worker run at once, so it can name private scratch.
template <class Task>
void parallel(Ort::KernelContext& context, size_t tasks, Task task) {
  struct Shared {
    Task& task;
    size_t tasks;
    std::atomic<size_t> next;
  } shared{task, tasks, {0}};
  const size_t workers = tasks < worker_limit() ? tasks : worker_limit();
  auto drain = [](void* data, size_t worker) {
    Shared& s = *static_cast<Shared*>(data);
    for (size_t number = s.next++; number < s.tasks; number = s.next++) s.task(number, worker);
  };
  if (workers <= 1) {
    drain(&shared, 0);
  } else {
    context.ParallelFor(drain, workers, 0, &shared);
  }
}

// Rows in equal tiles of whole vectors, none longer than kRowTile: 197 rows as 64, 48, 48, 37 and not as 64, 64, 64, 5.
struct RowTiles {
  size_t rows, vectors, count, lanes;

  RowTiles(size_t rows, size_t lanes)
      : rows(rows), vectors((rows + lanes - 1) / lanes), count((rows + kRowTile - 1) / kRowTile), lanes(lanes) {}
  size_t begin(size_t tile) const { return lanes * ((tile * vectors + count - 1) / count); }
  size_t end(size_t tile) const { return tile + 1 == count ? rows : begin(tile + 1); }
};

// The kernels in use; refuses if COPPICE_ISA names none that can run here.
const Kernels& kernels_in_use();

// One input or output of an operator.
struct Port {
  const char* name;
  ONNXTensorElementDataType type;
  bool optional;
  bool fixed = false;  // of its type in a graph of halves too
};

constexpr ONNXTensorElementDataType kFloat = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
constexpr ONNXTensorElementDataType kHalf = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16;
constexpr ONNXTensorElementDataType kInt64 = ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64;

// The int64 tensor of output `number` with this shape; null where the graph does not use the output.
int64_t* integer_output(Ort::KernelContext& context, size_t number, const std::vector<int64_t>& shape);

// A float output; one of float16 is computed in float and rounded when this goes out of scope.
class FloatOutput {
 public:
  FloatOutput(Ort::KernelContext& context, size_t number, const std::vector<int64_t>& shape);
  FloatOutput(FloatOutput&& other) noexcept;
  ~FloatOutput();
  FloatOutput& operator=(FloatOutput&&) = delete;

  // Whether the graph uses the output.
  bool used() const { return used_; }
  // Null where it does not, and where the tensor is empty.
  float* data() const { return data_; }
  // Numbers in it.
  size_t size() const { return size_; }

 private:
  bool used_ = false;
  size_t size_ = 0;
  float* data_ = nullptr;
  uint16_t* half_ = nullptr;
  std::vector<float> wide_;
};

// A custom operator of tensors of type Float (kFloat or kHalf) where its ports say kFloat. Kernel declares kName, kInputs
// and kOutputs, is made from KernelInfo and has compute(KernelContext&); both may refuse by throwing.
template <class Kernel>
struct Instance {
  Kernel kernel;
  explicit Instance(const Ort::ConstKernelInfo& info) : kernel(info) {}

  OrtStatusPtr ComputeV2(OrtKernelContext* raw) noexcept {
    return guarded(Kernel::kName, [&] {
      Ort::KernelContext context(raw);
      kernel.compute(context);
    });
  }
};

template <class Kernel, ONNXTensorElementDataType Float>
struct Operator : Ort::CustomOpBase<Operator<Kernel, Float>, Instance<Kernel>, true> {
  OrtStatusPtr CreateKernelV2(const OrtApi&, const OrtKernelInfo* info, void** kernel) const noexcept {
    return guarded(Kernel::kName, [&] {
      kernels_in_use();
      *kernel = new Instance<Kernel>(Ort::ConstKernelInfo(info));
    });
  }
  const char* GetName() const { return Kernel::kName; }
  const char* GetExecutionProviderType() const { return "CPUExecutionProvider"; }

  size_t GetInputTypeCount() const { return std::size(Kernel::kInputs); }
  ONNXTensorElementDataType GetInputType(size_t i) const { return type(Kernel::kInputs[i]); }
  OrtCustomOpInputOutputCharacteristic GetInputCharacteristic(size_t i) const { return characteristic(Kernel::kInputs[i]); }

  size_t GetOutputTypeCount() const { return std::size(Kernel::kOutputs); }
  ONNXTensorElementDataType GetOutputType(size_t i) const { return type(Kernel::kOutputs[i]); }
  OrtCustomOpInputOutputCharacteristic GetOutputCharacteristic(size_t i) const { return characteristic(Kernel::kOutputs[i]); }

 private:
  static ONNXTensorElementDataType type(const Port& port) { return port.type == kFloat && !port.fixed ? Float : port.type; }
  static OrtCustomOpInputOutputCharacteristic characteristic(const Port& port) {
    return port.optional ? INPUT_OUTPUT_OPTIONAL : INPUT_OUTPUT_REQUIRED;
  }
};

}  // namespace coppice
