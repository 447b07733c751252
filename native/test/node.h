// One operator's node in a real ONNX Runtime: model, session, call, and the status it ends with.
#pragma once

#include <onnxruntime_cxx_api.h>

#include <string>
#include <variant>
#include <vector>

namespace coppice::test {

constexpr ONNXTensorElementDataType kFloat = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
constexpr ONNXTensorElementDataType kHalf = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16;
constexpr ONNXTensorElementDataType kInt64 = ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64;
constexpr ONNXTensorElementDataType kByte = ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8;
constexpr ONNXTensorElementDataType kInt8 = ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8;

// Bytes of one element.
constexpr size_t width_of(ONNXTensorElementDataType type) { return type == kInt64 ? 8 : type == kFloat ? 4 : type == kHalf ? 2 : 1; }

struct Attribute {
  std::string name;
  std::variant<int64_t, float, std::string, std::vector<float>> value;
};

// An input and its tensor. An empty name leaves it out; `bytes` are as many as shape and type say.
struct Argument {
  std::string name;
  ONNXTensorElementDataType type = kFloat;
  std::vector<int64_t> shape;
  std::vector<char> bytes;
  bool constant = false;  // an initializer of the model, not an input of its calls
};

// An output that the graph uses; an empty name leaves it out.
struct Result {
  std::string name;
  ONNXTensorElementDataType type = kFloat;
};

struct Node {
  std::string op;
  std::vector<Attribute> attributes;
  std::vector<Argument> inputs;
  std::vector<Result> outputs;

  // A serialized ONNX model of this node alone; its inputs may have any rank and shape.
  std::string model() const;
};

Argument floats(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& values);
// The values rounded to float16.
Argument halves(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& values);
// 0, 1, 2, ... as unsigned bytes.
Argument bytes(const std::string& name, const std::vector<int64_t>& shape);
Argument integers(const std::string& name, const std::vector<int64_t>& shape, const std::vector<int64_t>& values);
Argument constant(Argument argument);

// What a call came to: ORT_OK and tensors, or another code and its sentence.
struct Outcome {
  OrtErrorCode code = ORT_OK;
  std::string message;
  std::vector<Ort::Value> outputs;
};

// The process's environment. Its sessions share one pool of two threads.
Ort::Env& environment();

class NodeSession {
 public:
  // Registers the operators and makes the session; `outcome` says how that ended.
  explicit NodeSession(const Node& node, const char* const (*config)[2] = nullptr);
  const Outcome& made() const { return made_; }
  // Runs the node on its own inputs; where there is no session, what kept it from being made.
  Outcome run(const Node& node);

 private:
  Outcome made_;
  Ort::Session session_{nullptr};
};

// Makes a session and runs it once.
Outcome run(const Node& node);

}  // namespace coppice::test
