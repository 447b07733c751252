#include "node.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "isa.h"

extern "C" OrtStatus* RegisterCustomOps(OrtSessionOptions* options, const OrtApiBase* base);

namespace coppice::test {
namespace {

// The wire format of protocol buffers: https://protobuf.dev/programming-guides/encoding/
class Message {
 public:
  Message& integer(unsigned field, uint64_t value) {
    varint(field << 3);
    varint(value);
    return *this;
  }
  Message& number(unsigned field, float value) {
    varint(field << 3 | 5);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
    return *this;
  }
  Message& text(unsigned field, const std::string& value) {
    varint(field << 3 | 2);
    varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& message(unsigned field, const Message& value) { return text(field, value.bytes_); }
  const std::string& bytes() const { return bytes_; }

 private:
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }
  std::string bytes_;
};

// ValueInfoProto of a tensor whose shape nobody states.
Message value_info(const std::string& name, ONNXTensorElementDataType type) {
  return Message().text(1, name).message(2, Message().message(1, Message().integer(1, type)));
}

// TensorProto.
Message tensor(const Argument& given) {
  Message t;
  for (const int64_t n : given.shape) t.integer(1, static_cast<uint64_t>(n));
  return t.integer(2, given.type).text(8, given.name).text(9, std::string(given.bytes.begin(), given.bytes.end()));
}

// AttributeProto.
Message attribute(const Attribute& given) {
  Message a;
  a.text(1, given.name);
  if (const auto* integer = std::get_if<int64_t>(&given.value)) return a.integer(3, static_cast<uint64_t>(*integer)).integer(20, 2);
  if (const auto* number = std::get_if<float>(&given.value)) return a.number(2, *number).integer(20, 1);
  if (const auto* words = std::get_if<std::string>(&given.value)) return a.text(4, *words).integer(20, 3);
  for (const float value : std::get<std::vector<float>>(given.value)) a.number(7, value);
  return a.integer(20, 6);
}

Message model_of(const Message& graph) {
  const Message onnx = Message().text(1, "").integer(2, 17), ours = Message().text(1, "dev.coppice").integer(2, 1);
  return Message().integer(1, 8).message(7, graph).message(8, onnx).message(8, ours);
}

// A model that needs no operator of ours.
std::string identity() {
  const Message node = Message().text(1, "x").text(2, "y").text(4, "Identity");
  return model_of(Message().message(1, node).text(2, "identity").message(11, value_info("x", kFloat)).message(12, value_info("y", kFloat))).bytes();
}

template <class T>
std::vector<char> bytes_of(const std::vector<T>& values) {
  std::vector<char> bytes(values.size() * sizeof(T));
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

// ONNX Runtime keeps some bytes of its first session for ever; a leak checker that is there must not count them as ours.
extern "C" __attribute__((weak)) void __lsan_disable();
extern "C" __attribute__((weak)) void __lsan_enable();
struct Unwatched {
  Unwatched() {
    if (__lsan_disable != nullptr) __lsan_disable();
  }
  ~Unwatched() {
    if (__lsan_enable != nullptr) __lsan_enable();
  }
};

// ThreadSanitizer sees no order in the pool of an ONNX Runtime that it has not compiled. There the pool is empty, and where the
// library asks for it eight threads of our own take its place; all else stays real.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define COPPICE_OWN_POOL
#endif
#endif
#if defined(COPPICE_OWN_POOL)
constexpr int kPool = 1;

OrtStatus* ORT_API_CALL on_own_threads(const OrtKernelContext*, void (*task)(void*, size_t), size_t total, size_t, void* data) noexcept {
  std::atomic<size_t> next{0};
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (size_t number = next++; number < total; number = next++) task(data, number);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return nullptr;
}

const OrtApiBase* api_base() {
  static const OrtApi with_own_pool = [] {
    OrtApi api = Ort::GetApi();
    api.KernelContext_ParallelFor = on_own_threads;
    return api;
  }();
  static const OrtApiBase base{[](uint32_t) noexcept -> const OrtApi* { return &with_own_pool; }, OrtGetApiBase()->GetVersionString};
  return &base;
}
#else
constexpr int kPool = 2;

const OrtApiBase* api_base() { return OrtGetApiBase(); }
#endif

template <class Call>
Outcome outcome_of(Call call) {
  Outcome outcome;
  try {
    call(outcome);
  } catch (const Ort::Exception& error) {
    outcome.code = error.GetOrtErrorCode();
    outcome.message = error.what();
  }
  return outcome;
}

}  // namespace

std::string Node::model() const {
  Message node, graph;
  for (const Argument& input : inputs) node.text(1, input.name);
  for (const Result& output : outputs) node.text(2, output.name);
  node.text(4, op);
  for (const Attribute& given : attributes) node.message(5, attribute(given));
  node.text(7, "dev.coppice");
  graph.message(1, node).text(2, "node");
  for (const Argument& input : inputs) {
    if (input.constant) {
      graph.message(5, tensor(input));
    } else if (!input.name.empty()) {
      graph.message(11, value_info(input.name, input.type));
    }
  }
  for (const Result& output : outputs) {
    if (!output.name.empty()) graph.message(12, value_info(output.name, output.type));
  }
  return model_of(graph).bytes();
}

Argument floats(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& values) {
  return {name, kFloat, shape, bytes_of(values)};
}

Argument halves(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& values) {
  std::vector<uint16_t> half(values.size());
  scalar::kKernels.narrow(values.data(), values.size(), half.data());
  return {name, kHalf, shape, bytes_of(half)};
}

Argument bytes(const std::string& name, const std::vector<int64_t>& shape) {
  Argument argument{name, kByte, shape, {}};
  size_t count = 1;
  for (const int64_t n : shape) count *= static_cast<size_t>(n);
  for (size_t i = 0; i < count; ++i) argument.bytes.push_back(static_cast<char>(i));
  return argument;
}

Argument integers(const std::string& name, const std::vector<int64_t>& shape, const std::vector<int64_t>& values) {
  return {name, kInt64, shape, bytes_of(values)};
}

Argument constant(Argument argument) {
  argument.constant = true;
  return argument;
}

Ort::Env& environment() {
  static Ort::Env made = [] {
    // Else its thread that reports to the vendor starts here, and allocates while others look for leaks.
    setenv("ORT_DISABLE_TELEMETRY", "1", 1);
    const Unwatched first;
    Ort::ThreadingOptions threads;
    threads.SetGlobalIntraOpNumThreads(kPool);
    threads.SetGlobalInterOpNumThreads(1);
    threads.SetGlobalSpinControl(0);
    // A thread of the pool keeps some bytes too.
    threads.SetGlobalCustomCreateThreadFn([](void*, OrtThreadWorkerFn work, void* data) {
      return reinterpret_cast<OrtCustomThreadHandle>(new std::thread([work, data] {
        const Unwatched always;
        work(data);
      }));
    });
    threads.SetGlobalCustomJoinThreadFn([](OrtCustomThreadHandle handle) {
      auto* thread = const_cast<std::thread*>(reinterpret_cast<const std::thread*>(handle));
      thread->join();
      delete thread;
    });
    Ort::Env env(threads, ORT_LOGGING_LEVEL_FATAL, "coppice");
    Ort::SessionOptions options;
    options.DisablePerSessionThreads();
    const std::string model = identity();
    Ort::Session(env, model.data(), model.size(), options);
    return env;
  }();
  return made;
}

NodeSession::NodeSession(const Node& node, const char* const (*config)[2]) {
  made_ = outcome_of([&](Outcome&) {
    Ort::SessionOptions options;
    options.DisablePerSessionThreads();
    for (; config != nullptr && (*config)[0] != nullptr; ++config) options.AddConfigEntry((*config)[0], (*config)[1]);
    Ort::ThrowOnError(RegisterCustomOps(options, api_base()));
    const std::string model = node.model();
    session_ = Ort::Session(environment(), model.data(), model.size(), options);
  });
}

Outcome NodeSession::run(const Node& node) {
  if (made_.code != ORT_OK) return {made_.code, made_.message, {}};
  return outcome_of([&](Outcome& outcome) {
    const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    std::vector<const char*> names, wanted;
    std::vector<Ort::Value> values;
    for (const Argument& input : node.inputs) {
      if (input.name.empty() || input.constant) continue;
      names.push_back(input.name.c_str());
      values.push_back(Ort::Value::CreateTensor(memory, const_cast<char*>(input.bytes.data()), input.bytes.size(), input.shape.data(),
                                                input.shape.size(), input.type));
    }
    for (const Result& output : node.outputs) {
      if (!output.name.empty()) wanted.push_back(output.name.c_str());
    }
    outcome.outputs = session_.Run(Ort::RunOptions{}, names.data(), values.data(), values.size(), wanted.data(), wanted.size());
  });
}

Outcome run(const Node& node) { return NodeSession(node).run(node); }

}  // namespace coppice::test
