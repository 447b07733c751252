// Attention in double, from the definitions: every pair of tokens, nothing reordered.
#pragma once

#include <functional>

#include "closeness.h"
#include "problem.h"

namespace coppice::test {

// The factor that positions give the pair of a query token and a key token; the sum of the problem's waves if none is given.
using Reweight = std::function<double(size_t query, size_t key)>;

// y [rows, heads * dim] of w_ij = query_weight_i phi(q_i).phi(k_j) key_weight_j reweight(i, j).
Expected linear_reference(const Problem& problem, const LinearForm& form, const Reweight& reweight = nullptr);
// y [rows, heads * dim] of softmax(scale q k^T + key_weight) v.
Expected softmax_reference(const Problem& problem, double scale);
// [heads, tokens]: softmax over j of scale q_0 k_j (by_column: q_j k_0) + key_weight_j.
Expected class_reference(const Problem& problem, double scale, bool by_column);
// [heads, tokens]: the sum over rows of softmax(scale q k^T + key_weight).
Expected received_reference(const Problem& problem, double scale);
// [tokens]
Expected cube_factor_reference(const Problem& problem, bool keys);
// [tokens]
Expected value_norm_reference(const Problem& problem);

}  // namespace coppice::test
