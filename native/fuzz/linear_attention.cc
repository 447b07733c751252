#include "reference.h"
#include "target.h"

namespace coppice::fuzz {

void kernels(Draw& draw) {
  Problem p = draw.problem();
  const LinearForm form{draw.one_of({FeatureMap::kElu1, FeatureMap::kRelu, FeatureMap::kReluPow3}),
                        draw.one_of({Normalize::kRowSum, Normalize::kSqrtD, Normalize::kNone}),
                        draw.one_of({1e-6f, 0.0f, 0.5f, 1e30f}),
                        draw.flag(),
                        {},
                        nullptr};
  const size_t waves = draw.one_of<size_t>({0, 0, 2, 4, 5, 6});
  p.query_wave = draw.even(waves * p.tokens);
  p.key_wave = draw.even(waves * p.tokens);
  if (draw.flag()) p.key_weight = draw.floats(p.tokens);
  if (draw.flag()) p.query_weight = draw.floats(p.tokens);
  const Tiles tiles{draw.one_of<size_t>({kRowTile, 1, 5, 17}), draw.one_of<size_t>({kFeatureTile, 1, 7, 16})};

  const Expected y = linear_reference(p, form), queries = cube_factor_reference(p, false), keys = cube_factor_reference(p, true);
  for (const Kernels* body : bodies()) {
    EXPECT_TRUE(close(run_linear(*body, p, form, tiles), y)) << body->isa;
    EXPECT_TRUE(close(run_quadratic(*body, p, form, tiles), y)) << body->isa;
    EXPECT_TRUE(close(run_cube_factors(*body, p, false), queries)) << body->isa;
    EXPECT_TRUE(close(run_cube_factors(*body, p, true), keys)) << body->isa;
  }
}

Node node(Draw& draw, ONNXTensorElementDataType type) {
  const auto heads = draw.one_of<int64_t>({1, 2, 3}), dim = draw.one_of<int64_t>({1, 4, 7, 16, 33});
  const auto batch = static_cast<int64_t>(draw.number(0, 2)), tokens = static_cast<int64_t>(draw.number(1, draw.number(0, 7) ? 12 : 150));
  const auto rows = static_cast<int64_t>(draw.number(0, 9)), prefix = static_cast<int64_t>(draw.number(0, 2)), grid = draw.one_of<int64_t>({4, 13});
  const auto reweight = draw.one_of<const char*>({"none", "cos1d", "cos2d"});
  Node call{"LinearAttention",
            {{"num_heads", heads},
             {"feature_map", std::string(draw.one_of<const char*>({"elu1", "relu", "relu_pow3"}))},
             {"reweight", std::string(reweight)},
             {"normalize", std::string(draw.one_of<const char*>({"row_sum", "sqrt_d", "none"}))},
             {"eps", draw.one_of({1e-6f, 0.0f, 1.0f})},
             {"eps_mode", std::string(draw.one_of<const char*>({"clamp", "add"}))},
             {"order", std::string(draw.one_of<const char*>({"auto", "linear", "quadratic"}))},
             {"grid", grid},
             {"length", draw.one_of<int64_t>({160, 0})},
             {"prefix_tokens", prefix}},
            {tensor(draw, "qkv", {batch, tokens, 3 * heads * dim}, type)},
            {{"y", type}}};
  const auto items = static_cast<size_t>(batch * tokens);
  call.inputs.push_back(at_times(draw, [&] {
    return integers("query_index", {batch, rows}, draw.integers(static_cast<size_t>(batch * rows), 0, static_cast<size_t>(tokens - 1)));
  }));
  const bool placed = draw.flag() || tokens > grid * grid + prefix;
  call.inputs.push_back(placed ? integers("positions", {batch, tokens}, draw.integers(items, 0, static_cast<size_t>(std::min(tokens, grid * grid) - 1)))
                               : Argument{});
  call.inputs.push_back(at_times(draw, [&] { return tensor(draw, "size", {batch, tokens}, type); }));
  return call;
}

}  // namespace coppice::fuzz
