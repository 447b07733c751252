// An attention problem with all its optional inputs, and the way a caller drives the kernels through it.
#pragma once

#include <memory>
#include <vector>

#include "attention.h"
#include "guarded.h"

namespace coppice::test {

struct Problem {
  size_t tokens, heads, dim;
  std::vector<float> qkv;            // [tokens, 3 * heads * dim]
  std::vector<int64_t> query_index;  // empty: every token
  std::vector<float> key_weight;     // empty: none
  std::vector<float> query_weight;   // empty: none
  std::vector<float> query_wave, key_wave;  // [waves, tokens]; empty: no reweighting

  size_t rows() const { return query_index.empty() ? tokens : query_index.size(); }
  size_t width() const { return heads * dim; }
  size_t waves() const { return query_wave.size() / tokens; }
  float& q(size_t token, size_t head, size_t i) { return qkv[token * 3 * width() + head * dim + i]; }
  float& k(size_t token, size_t head, size_t i) { return q(token, heads + head, i); }
  float& v(size_t token, size_t head, size_t i) { return q(token, 2 * heads + head, i); }
  float q(size_t token, size_t head, size_t i) const { return const_cast<Problem*>(this)->q(token, head, i); }
  float k(size_t token, size_t head, size_t i) const { return q(token, heads + head, i); }
  float v(size_t token, size_t head, size_t i) const { return q(token, 2 * heads + head, i); }
};

// Normal values times `spread`; the same seed gives the same numbers everywhere.
std::vector<float> normal(size_t count, unsigned seed, double spread = 1);
Problem random_problem(size_t tokens, size_t heads, size_t dim, unsigned seed);

// How many rows or features one kernel call handles.
struct Tiles {
  size_t rows = kRowTile, features = kFeatureTile;
};

std::vector<float> run_linear(const Kernels& kernels, const Problem& problem, const LinearForm& form, Tiles tiles = {});
// A row's shift and sum, [heads, rows] each.
struct Statistics {
  std::vector<float> shift, sum;
};

std::vector<float> run_quadratic(const Kernels& kernels, const Problem& problem, const LinearForm& form, Tiles tiles = {});
// class_rows: [heads, tokens], left NaN where no query row is token 0; may be null.
std::vector<float> run_softmax(const Kernels& kernels, const Problem& problem, float scale, std::vector<float>* class_rows = nullptr,
                               Tiles tiles = {}, Statistics* statistics = nullptr);
// [heads, tokens]: the attention each key gets from all rows.
std::vector<float> run_received(const Kernels& kernels, const Problem& problem, float scale, Tiles tiles = {});
// [heads, tokens]
std::vector<float> run_class_attention(const Kernels& kernels, const Problem& problem, float scale, bool by_column);
std::vector<float> run_cube_factors(const Kernels& kernels, const Problem& problem, bool keys);
std::vector<float> run_value_norms(const Kernels& kernels, const Problem& problem);

}  // namespace coppice::test
