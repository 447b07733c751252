// A problem of hallucinated attention, the way a caller drives the kernels through it, and its definition in double.
#pragma once

#include <vector>

#include "closeness.h"
#include "hallucinated.h"

namespace coppice::test {

struct HallucinatedProblem {
  size_t tokens, real, hallucinated, dim;
  std::vector<float> qkv;  // [tokens, (2 * real + heads) * dim]
  std::vector<float> mix;  // [hallucinated, real]; empty: none
  std::vector<float> dw;   // [hallucinated, dw_kernel, dw_kernel]; empty: none
  size_t dw_kernel = 0;
  bool before_softmax = false;
  Renorm renorm = Renorm::kNone;
  float eps = 1e-6f;

  size_t heads() const { return real + hallucinated; }
  size_t width() const { return (2 * real + heads()) * dim; }
  float& q(size_t token, size_t head, size_t i) { return qkv[token * width() + head * dim + i]; }
  float& k(size_t token, size_t head, size_t i) { return q(token, real + head, i); }
  float& v(size_t token, size_t head, size_t i) { return q(token, 2 * real + head, i); }
  float q(size_t token, size_t head, size_t i) const { return const_cast<HallucinatedProblem*>(this)->q(token, head, i); }
  float k(size_t token, size_t head, size_t i) const { return q(token, real + head, i); }
  float v(size_t token, size_t head, size_t i) const { return q(token, 2 * real + head, i); }
};

// dw_kernel 0: no convolution. mix and dw have entries of about 1 / real and 1 / dw_kernel.
HallucinatedProblem random_hallucination(size_t tokens, size_t real, size_t hallucinated, size_t dim, size_t dw_kernel, unsigned seed);

// y [tokens, heads * dim]; `rows` of them in one call of the kernel.
std::vector<float> run_hallucinated(const HallucinationKernels& kernels, const HallucinatedProblem& problem, size_t rows = kHallucinatedRows);

// The definition of docs/reference/operators.md with whole maps, every pair of tokens.
Expected hallucinated_reference(const HallucinatedProblem& problem);

}  // namespace coppice::test
