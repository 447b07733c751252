// One operator's fuzz target: what every source of this folder named after an operator defines.
#pragma once

#include "bodies.h"
#include "closeness.h"
#include "draw.h"
#include "node.h"

namespace coppice::fuzz {

using namespace test;

// Draws a problem and compares each body's kernels, in guarded memory, with the reference; a failed EXPECT ends the run.
void kernels(Draw& draw);

// Draws a call that ONNX Runtime must carry out, in type kFloat or kHalf. The caller spoils some of them.
Node node(Draw& draw, ONNXTensorElementDataType type);

// A tensor of drawn values.
inline Argument tensor(Draw& draw, const char* name, const std::vector<int64_t>& shape, ONNXTensorElementDataType type) {
  size_t count = 1;
  for (const int64_t n : shape) count *= static_cast<size_t>(n);
  return type == kHalf ? halves(name, shape, draw.floats(count)) : floats(name, shape, draw.floats(count));
}

// An input that a call has at times.
template <class Make>
Argument at_times(Draw& draw, Make make) {
  return draw.flag() ? make() : Argument{};
}

}  // namespace coppice::fuzz
