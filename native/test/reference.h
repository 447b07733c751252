// Attention in double, from the definitions: every pair of tokens, nothing reordered.
#pragma once

#include "closeness.h"
#include "problem.h"

namespace coppice::test {

// y [rows, heads * dim] of w_ij = phi(q_i).phi(k_j) cos(pi (p_i - p_j) / (2 length)) key_weight_j.
Expected linear_reference(const Problem& problem, const LinearForm& form);
// y [rows, heads * dim] of softmax(scale q k^T + key_weight) v.
Expected softmax_reference(const Problem& problem, double scale);
// [heads, tokens]: softmax over j of scale q_0 k_j (by_column: q_j k_0) + key_weight_j.
Expected class_reference(const Problem& problem, double scale, bool by_column);
// [tokens]
Expected value_norm_reference(const Problem& problem);

}  // namespace coppice::test
