// Attention in bytes: the way a caller drives the kernels, and the definition in double, which rounds as they do.
#pragma once

#include <optional>

#include "closeness.h"
#include "int8_attention.h"
#include "problem.h"

namespace coppice::test {

template <class Values>
struct AttentionAnswer {
  Values y;                      // [rows, heads * dim]
  std::optional<Values> scores;  // [heads, tokens]
};
enum class Asked { kNothing, kClassRow, kReceived };

// From memory between guard pages. Scores that were asked for: the row of the first query of token 0, zeros where it has none, or
// what each token receives from all rows.
AttentionAnswer<std::vector<float>> run_int8_attention(const Int8AttentionKernels& kernels, const Problem& problem, float scale, Asked asked = Asked::kNothing);
AttentionAnswer<Expected> int8_attention_reference(const Problem& problem, double scale, Asked asked = Asked::kNothing);

}  // namespace coppice::test
