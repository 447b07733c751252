// The memory an operator takes: refused at every place where it asks, and bounded by what the sizes of the call allow.
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "allocations.h"
#include "bodies.h"
#include "calls.h"

namespace coppice::test {
namespace {

std::string call_name(const testing::TestParamInfo<Call>& info) { return info.param.name; }

class NoMemory : public testing::TestWithParam<Call> {
 protected:
  // Calls with the n-th allocation refused, n = 1, 2, ..., until nothing is left to refuse; every call but that must end in a status.
  template <class Try>
  void each_allocation(bool and_later, Try attempt) {
    for (size_t n = 1;; ++n) {
      Outcome outcome;
      bool refused;
      {
        const Watch watch({n, and_later});
        outcome = attempt();
        refused = watch.refused();
      }
      if (!refused) {
        EXPECT_EQ(outcome.code, ORT_OK) << outcome.message;
        EXPECT_GT(n, 1u) << "the library took no memory at all";
        return;
      }
      ASSERT_NE(outcome.code, ORT_OK) << "allocation " << n;
      ASSERT_NE(outcome.message.find("out of memory"), std::string::npos) << "allocation " << n << ": " << outcome.message;
    }
  }
};

INSTANTIATE_TEST_SUITE_P(, NoMemory, testing::ValuesIn(calls(20)), call_name);

TEST_P(NoMemory, ShouldEndACallInAStatus) {
  const Node& node = GetParam().node;
  NodeSession session(node);
  for (const bool and_later : {false, true}) {
    each_allocation(and_later, [&] { return session.run(node); });
  }
}

// The first call of each operator and type: what is made with a session is the same for its others.
std::vector<Call> first_calls() {
  std::vector<Call> first;
  for (const Call& call : calls(20)) {
    if (first.empty() || first.back().node.op != call.node.op) first.push_back(call);
  }
  return first;
}

class NoMemoryAtFirst : public NoMemory {};
INSTANTIATE_TEST_SUITE_P(, NoMemoryAtFirst, testing::ValuesIn(first_calls()), call_name);

TEST_P(NoMemoryAtFirst, ShouldEndTheMakingOfASessionInAStatus) {
  for (const bool and_later : {false, true}) {
    each_allocation(and_later, [&] {
      const NodeSession session(GetParam().node);
      return Outcome{session.made().code, session.made().message, {}};
    });
  }
}

TEST_P(NoMemory, ShouldEndARefusalInAStatus) {
  Node node = GetParam().node;
  NodeSession session(node);
  node.inputs[0].shape = {1, 1, 1, static_cast<int64_t>(node.inputs[0].bytes.size() / width_of(node.inputs[0].type))};
  for (size_t n = 1; n < 100; ++n) {
    const Watch watch({n, true});
    const Outcome outcome = session.run(node);
    ASSERT_NE(outcome.code, ORT_OK);
    if (!watch.refused()) break;
  }
}

// The application's own allocator for tensors, which gives null at its n-th call.
struct Outputs : OrtAllocator {
  size_t left = 0;
  bool refused = false;

  Outputs() : OrtAllocator{} {
    version = 16;  // before Reserve
    Alloc = [](OrtAllocator* self, size_t bytes) -> void* {
      auto& outputs = *static_cast<Outputs*>(self);
      if (outputs.left > 0 && --outputs.left == 0) return outputs.refused = true, nullptr;
      return std::malloc(bytes);
    };
    Free = [](OrtAllocator*, void* memory) { std::free(memory); };
    Info = [](const OrtAllocator*) -> const OrtMemoryInfo* {
      static const auto info = Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeDefault);
      return info;
    };
    Ort::ThrowOnError(Ort::GetApi().RegisterAllocator(environment(), this));
  }
};

TEST_P(NoMemory, ShouldEndACallWithoutOutputsInAStatus) {
  static Outputs outputs;
  outputs.left = 0;  // a block's constants come from this allocator too
  const char* const config[][2] = {{"session.use_env_allocators", "1"}, {nullptr, nullptr}};
  NodeSession session(GetParam().node, config);
  ASSERT_EQ(session.made().code, ORT_OK) << session.made().message;
  for (size_t n = 1;; ++n) {
    outputs.left = n;
    outputs.refused = false;
    const Outcome outcome = session.run(GetParam().node);
    if (!outputs.refused) {
      EXPECT_EQ(outcome.code, ORT_OK) << outcome.message;
      EXPECT_GT(n, 1u) << "no output was made by this allocator";
      return;
    }
    ASSERT_NE(outcome.code, ORT_OK) << "output " << n;
  }
}

// Bytes that one call takes from operator new and from ONNX Runtime.
size_t bytes_of(const Node& node) {
  NodeSession session(node);
  session.run(node);
  const Watch watch;
  EXPECT_EQ(session.run(node).code, ORT_OK);
  return watch.bytes();
}

class Scratch : public testing::TestWithParam<Call> {};
INSTANTIATE_TEST_SUITE_P(, Scratch, testing::ValuesIn(calls(256)), call_name);

// Of N tokens of width D = 16 a call may take 12 N D floats (the widened float16 tensors are 4 N D of them, the rest are waves,
// weights, statistics and scores), and 256 KiB for each worker; hallucinated attention also the maps of a tile of 48 rows, and an
// encoder block twice as much, for the operators that it runs; attention in bytes the logits and weights of a tile of 14 rows, and
// 9 N floats of packed keys and values and 8 N of shares of scores for each of two heads, which the arena may round up to twice as
// much. An N x N matrix would be 256 N D floats at 4,096.
TEST_P(Scratch, ShouldGrowWithTheTokensOnly) {
  size_t number = 0;
  const std::vector<Call> all = calls(256);
  while (all[number].name != GetParam().name) ++number;
  const size_t few = bytes_of(all[number].node), more = bytes_of(calls(1024)[number].node), many = bytes_of(calls(4096)[number].node);
  const auto workers = std::clamp<size_t>(std::thread::hardware_concurrency(), 1, 16);
  const size_t operators = GetParam().node.op == "EncoderBlock" ? 2 : 1;
  const bool in_bytes = GetParam().name.find("_int8") != std::string::npos;
  const size_t maps = GetParam().node.op == "HallucinatedAttention" ? 48 * 4 * 4096 * sizeof(float) : in_bytes ? 14 * 4096 * 5 : 0;
  const size_t heads = in_bytes ? size_t{2} * 2 * (9 + 8) * 4096 * sizeof(float) : 0;
  EXPECT_LE(many - more, (more - few) * 4 + 4096) << few << ", " << more << ", " << many;
  EXPECT_LE(many, operators * (size_t{12} * 4096 * 16 * sizeof(float) + workers * (256 * 1024 + maps)) + heads);
}

class KernelScratch : public testing::TestWithParam<const Kernels*> {};
INSTANTIATE_TEST_SUITE_P(, KernelScratch, testing::ValuesIn(bodies()), [](const auto& info) { return std::string(info.param->isa); });

// One head's summary is a matrix of features, a worker's share a few tiles: 64 rows and at most 128 keys beside their features.
TEST_P(KernelScratch, ShouldBeATileAWorker) {
  for (const size_t dim : {1, 3, 16, 64, 80, 128, 256}) {
    for (const size_t waves : {0, 2, 6}) {
      const AttentionScratch need = GetParam()->scratch(dim, waves);
      const size_t features = std::max<size_t>(waves, 1) * dim;
      EXPECT_LE(need.summary, features * (dim + GetParam()->lanes)) << dim << " " << waves;
      EXPECT_LE(need.worker, 512 * (dim + 32) + 65 * features) << dim << " " << waves;
    }
  }
}

}  // namespace
}  // namespace coppice::test
