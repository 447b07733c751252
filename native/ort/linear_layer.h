// A linear layer's constant inputs, and the shares of rows that blocks of such layers work on.
#pragma once

#include <functional>

#include "../kernels/linear.h"
#include "operator.h"

namespace coppice {

// A weight's type says the precision of its layer, so its port takes any; scales stay float32 in a graph of halves.
constexpr Port weight_port(const char* name, bool optional = false) { return {name, ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED, optional}; }
constexpr Port scale_port(const char* name) { return {name, kFloat, true, true}; }

// An input that must be a constant of the model: what is made from it is made once, with the kernel.
class ConstantInput {
 public:
  ConstantInput(const Ort::ConstKernelInfo& info, size_t number, const char* name);

  bool given() const { return given_; }
  ONNXTensorElementDataType type() const { return type_; }
  const std::vector<int64_t>& shape() const { return shape_; }
  // Stays where it is as long as the session lives.
  const void* data() const { return data_; }
  // The values of a vector of `length`, of any length where that is 0.
  std::vector<float> vector(size_t length) const;

 private:
  const char* name_;
  bool given_ = false;
  ONNXTensorElementDataType type_ = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  std::vector<int64_t> shape_;
  const void* data_ = nullptr;
};

class LinearLayer {
 public:
  // The numbers of its inputs and their names; a name that is null: there is none. The attribute WEIGHT_range is its input's range.
  struct Inputs {
    size_t weight;
    const char* weight_name;
    size_t bias;
    const char* bias_name;
    size_t scale;
    const char* scale_name;
  };

  // `depth` is what goes in. `columns` is what comes out of a layer without bias, and 0 for others: their bias says it.
  LinearLayer(const Ort::ConstKernelInfo& info, const Inputs& inputs, size_t depth, size_t columns = 0);

  size_t depth() const { return depth_; }
  size_t columns() const { return columns_; }
  Linear described() const;

 private:
  WeightType type_;
  size_t depth_, columns_;
  const void* weight_;
  std::vector<float> bias_, scale_;
  std::vector<int32_t> weight_sum_;
  std::array<float, 2> range_;
};

struct NormLayer {
  std::string name;
  std::vector<float> weight, bias;
  float epsilon;

  // Inputs `first` and `first` + 1, NAME_weight and NAME_bias.
  NormLayer(const Ort::ConstKernelInfo& info, size_t first, const std::string& name);
  size_t width() const { return weight.size(); }
  LayerNorm described() const { return {weight.size(), weight.data(), bias.data(), epsilon}; }
};

// Input 0 of a block that begins with this norm: x[B,N,D].
Input block_input(Ort::KernelContext& context, const NormLayer& norm);

// What a block does with its rows, share by share: with `count` of them from `begin` on and a worker's own memory of `floats`.
struct RowStep {
  size_t floats;
  std::function<void(size_t begin, size_t count, float* memory)> run;  // may be empty
};

// Rows in shares of equal length, or of whole tiles where they hold several. Their number is a multiple of four, so that two and four
// threads get equal work, unless they would be too short for the registers' tiles to pay.
struct RowShares {
  size_t rows, count, step;

  RowShares(size_t rows, size_t tile) : rows(rows) {
    const size_t fours = ((rows + kRows - 1) / kRows + 3) / 4 * 4, most = rows / kLeastRows;
    count = fours < most ? fours : most > 0 ? most : 1;
    step = rows >= 3 * tile * count ? tile : 1;
  }
  size_t begin(size_t share) const { return share == count ? rows : share * rows / count / step * step; }
  // No share has more.
  size_t longest() const { return (rows + count - 1) / count + step - 1; }

 private:
  // Two tiles of 14 rows: with the hidden features of a ViT-Small, 150 KiB.
  static constexpr size_t kRows = 28, kLeastRows = 7;
};

}  // namespace coppice
