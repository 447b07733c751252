// libFuzzer's entry points around one operator's adapter in ONNX Runtime: right calls succeed, spoilt ones end in a status.
#include <map>

#include "target.h"

namespace coppice::fuzz {
namespace {

constexpr size_t kSessions = 128;  // made sessions kept: making one costs ten calls

std::vector<int64_t> any_shape(Draw& draw) {
  std::vector<int64_t> shape(draw.number(0, 4));
  for (int64_t& n : shape) n = static_cast<int64_t>(draw.one_of<size_t>({0, 1, 2, 3, 5, 8}));
  return shape;
}

// Another shape, and as many bytes as it asks for.
void reshape(Argument& input, std::vector<int64_t> shape) {
  size_t count = 1;
  for (const int64_t n : shape) count *= static_cast<size_t>(n);
  input.shape = std::move(shape);
  input.bytes.resize(count * width_of(input.type), '\x3c');
}

void spoil(Draw& draw, Node& node) {
  Argument& input = node.inputs[draw.number(0, node.inputs.size() - 1)];
  switch (draw.number(0, 6)) {
    case 0: return reshape(input, any_shape(draw));
    case 1:
      if (!input.shape.empty()) {
        std::vector<int64_t> shape = input.shape;
        shape[draw.number(0, shape.size() - 1)] = static_cast<int64_t>(draw.number(0, 9));
        reshape(input, shape);
      }
      return;
    case 2:  // any bits: integers far out of range, numbers that are none
      for (char& byte : input.bytes) byte = static_cast<char>(draw.number(0, 255));
      return;
    case 3: input = {}; return;
    case 4: input.type = draw.one_of({kFloat, kHalf, kInt64, kByte}); return reshape(input, input.shape);
    case 5:
      if (!node.attributes.empty()) {
        const int64_t far = std::numeric_limits<int64_t>::max();
        Attribute& attribute = node.attributes[draw.number(0, node.attributes.size() - 1)];
        attribute.value = draw.one_of<decltype(attribute.value)>({int64_t{-1}, int64_t{0}, int64_t{3}, far, 0.5f, -1e30f, NAN, std::string("none"),
                                                                  std::string()});
      }
      return;
    default: node.outputs[draw.number(0, node.outputs.size() - 1)].name = ""; return;
  }
}

NodeSession& session_of(const Node& node) {
  static std::map<std::string, NodeSession> sessions;
  if (sessions.size() >= kSessions) sessions.clear();
  return sessions.try_emplace(node.model(), node).first->second;
}

bool any_output(const Node& node) {
  bool any = false;
  for (const Result& output : node.outputs) any = any || !output.name.empty();
  return any;
}

void one(Draw draw) {
  const size_t spoilt = draw.one_of<size_t>({0, 0, 1, 2});
  Node call = node(draw, draw.flag() ? kHalf : kFloat);
  for (size_t i = 0; i < spoilt; ++i) spoil(draw, call);
  if (!any_output(call)) return;
  NodeSession& session = session_of(call);
  if (session.made().code != ORT_OK) {
    EXPECT_GT(spoilt, 0u) << session.made().message;
    return;
  }
  const Outcome outcome = session.run(call);
  if (outcome.code == ORT_OK) return;
  EXPECT_GT(spoilt, 0u) << outcome.message;
  EXPECT_EQ(outcome.code, ORT_INVALID_ARGUMENT) << outcome.message;
}

}  // namespace
}  // namespace coppice::fuzz

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  testing::GTEST_FLAG(throw_on_failure) = true;  // uncaught: libFuzzer keeps the input
  coppice::test::environment();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  coppice::fuzz::one(coppice::fuzz::Draw(bytes, size));
  return 0;
}
