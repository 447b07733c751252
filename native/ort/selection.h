// What the adapters share that choose tokens by their scores.
#pragma once

#include "operator.h"

namespace coppice {

// Input `number`: a single value, as a scalar or of shape [1].
int64_t integer_value(Ort::KernelContext& context, size_t number, const char* name);
float float_value(Ort::KernelContext& context, size_t number, const char* name);

constexpr size_t kNoOutput = SIZE_MAX;

// The numbers of a selection's outputs in the operator that runs it; kNoOutput for those that it has not.
struct SelectionOutputs {
  size_t y = kNoOutput, index = kNoOutput, size = kNoOutput, group = kNoOutput, kept_count = kNoOutput;
};

// scores[B,N] and x?[B,N,D], refused unless they match each other and hold the prefix; their data may come later.
struct Scored {
  Input scores;
  std::optional<Input> x;
  size_t batch, tokens, prefix;

  // Inputs 0 and 2.
  Scored(Ort::KernelContext& context, size_t prefix);
  Scored(Input scores, std::optional<Input> x, size_t prefix);
  size_t patches() const { return tokens - prefix; }
  // Input `number`, count: how many patch tokens stay, refused unless there are so many.
  size_t kept_patches(Ort::KernelContext& context, size_t number) const;
  const float* item(size_t b) const { return scores.floats() + b * tokens; }
};

// Refuses a batch of more than one where each item's rows depend on its data and nothing pads them.
void expect_one_item(const Input& input, const char* name, bool pad);

// The tokens that each item keeps, where their number depends on the scores; rows without a token are padding.
class RaggedSelection {
 public:
  RaggedSelection(size_t batch, size_t most) : most_(most), index_(batch * most), kept_(batch) {}

  // Room for the index of item b.
  int64_t* index(size_t b) { return index_.data() + b * most_; }
  void keep(size_t b, size_t rows) { kept_[b] = rows; }
  // Writes the outputs index, y? and kept_count?, padded to `most` rows, or as long as the only item's, and gives y.
  FloatOutput write(Ort::KernelContext& context, const Scored& scored, bool pad, const SelectionOutputs& outputs) const;

 private:
  size_t most_;
  std::vector<int64_t> index_;
  std::vector<size_t> kept_;
};

}  // namespace coppice
