// Runs one ONNX model again and again in one thread, with a marker for count.c after warming up and after each of RUNS runs:
// session ONNXRUNTIME OPERATORS MODEL RUNS NAME:TYPE:DIMENSIONS:FILE... , for example x:float32:1,197,64:x.bin
#include <dlfcn.h>
#include <onnxruntime_c_api.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

namespace {

const OrtApi* api;

void check(OrtStatus* status) {
  if (!status) return;
  std::fprintf(stderr, "%s\n", api->GetErrorMessage(status));
  std::exit(1);
}

__attribute__((noinline)) void marker() { __asm__ volatile("hint #90" ::: "memory"); }

struct Input {
  std::string name;
  std::vector<char> bytes;
  OrtValue* value = nullptr;

  explicit Input(const std::string& text) {
    std::istringstream fields(text);
    std::string type, dimensions, path, dimension;
    std::getline(fields, name, ':');
    std::getline(fields, type, ':');
    std::getline(fields, dimensions, ':');
    std::getline(fields, path);
    std::vector<int64_t> shape;
    for (std::istringstream all(dimensions); std::getline(all, dimension, ',');) shape.push_back(std::stoll(dimension));
    std::ifstream file(path, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(file), {});
    OrtMemoryInfo* memory;
    check(api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
    const auto element = type == "int64" ? ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 : ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
    check(api->CreateTensorWithDataAsOrtValue(memory, bytes.data(), bytes.size(), shape.data(), shape.size(), element, &value));
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  void* library = dlopen(argv[1], RTLD_NOW);
  if (!library) {
    std::fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  const auto base = reinterpret_cast<const OrtApiBase* (*)()>(dlsym(library, "OrtGetApiBase"));
  api = base()->GetApi(ORT_API_VERSION);
  OrtEnv* env;
  OrtSessionOptions* options;
  OrtSession* session;
  OrtIoBinding* binding;
  check(api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "count", &env));
  check(api->CreateSessionOptions(&options));
  check(api->SetIntraOpNumThreads(options, 1));
  check(api->SetInterOpNumThreads(options, 1));
  check(api->RegisterCustomOpsLibrary_V2(options, argv[2]));
  check(api->CreateSession(env, argv[3], options, &session));
  check(api->CreateIoBinding(session, &binding));

  std::vector<Input> inputs;
  inputs.reserve(argc);
  for (int i = 5; i < argc; ++i) {
    inputs.emplace_back(argv[i]);
    check(api->BindInput(binding, inputs.back().name.c_str(), inputs.back().value));
  }
  OrtMemoryInfo* memory;
  OrtAllocator* allocator;
  size_t outputs;
  check(api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
  check(api->GetAllocatorWithDefaultOptions(&allocator));
  check(api->SessionGetOutputCount(session, &outputs));
  for (size_t i = 0; i < outputs; ++i) {
    char* name;
    check(api->SessionGetOutputName(session, i, allocator, &name));
    check(api->BindOutputToDevice(binding, name, memory));
  }
  const int warming = 3;  // the first runs grow the arena
  const int runs = std::atoi(argv[4]);
  for (int i = 0; i < warming + runs; ++i) {
    if (i >= warming) marker();
    check(api->RunWithBinding(session, nullptr, binding));
  }
  marker();
}
