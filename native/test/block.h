// Nodes of encoder blocks, and what they come to when the kernels are called one after the other.
#pragma once

#include "linear_layer.h"
#include "node.h"

namespace coppice::test {

// The three inputs of a layer: weights, bias and, of int8 weights, scales, as constants named NAME, NAME_bias and NAME_scale.
std::vector<Argument> layer_inputs(const std::string& name, const LinearProblem& layer, ONNXTensorElementDataType type = kFloat);

// The halves of a block of width D on x[B,N,D]; x and layers as their fields say.
struct BlockProblem {
  size_t batch, tokens, width;
  std::vector<float> x, norm_weight, norm_bias;
  LinearProblem first, last;  // fc1 and fc2, or qkv and proj; their x is not used
};

// `inner`: columns of `first`; `depth`: inputs of `last`. Layers of these types.
BlockProblem random_block(size_t batch, size_t tokens, size_t width, size_t inner, size_t depth, WeightType first, WeightType last, unsigned seed);
// The node's inputs up to the last layer's scale.
std::vector<Argument> block_inputs(const BlockProblem& problem, const char* first, const char* last, ONNXTensorElementDataType type = kFloat);
// The inputs of EncoderBlock: those of AttentionBlock, those of MlpBlock behind x, under names of their own, and the selection's.
std::vector<Argument> encoder_inputs(std::vector<Argument> attention, std::vector<Argument> mlp, const Argument& count = {}, const Argument& threshold = {});

// layer(norm(x)) of rows, and layer(x) + residual, through the kernels in use.
std::vector<float> first_layer(const BlockProblem& problem, Activation activation);
std::vector<float> last_layer(const LinearProblem& layer, const std::vector<float>& x, const std::vector<float>& residual);

}  // namespace coppice::test
