#include "reduction.h"
#include "target.h"

namespace coppice::fuzz {

// Its reference knows numbers of ordinary size: with any others the kernels run, and nothing is asked of what they find.
void kernels(Draw& draw) {
  const bool tame = draw.flag();
  const auto values = [&](size_t count) { return tame ? draw.even(count, 2) : draw.floats(count); };
  MixProblem p{draw.number(1, draw.number(0, 7) ? 20 : 130), draw.number(1, draw.number(0, 7) ? 20 : 130), draw.number(1, 20), {}, {}, {}, {}};
  p.x = values(p.tokens * p.width);
  p.w = values(p.width * p.outputs);
  p.layer_norm = draw.flag();
  if (p.layer_norm && draw.flag()) p.gamma = values(p.width);
  if (p.layer_norm && draw.flag()) p.beta = values(p.width);
  p.scale = draw.one_of({1.0f, 0.1f});
  p.eps = draw.one_of({0.01f, 1.0f});
  p.over_outputs = draw.flag();
  const size_t tokens = draw.number(1, kTokenTile);
  const Expected y = mix_reference(p);
  for (const Kernels* body : bodies()) {
    const std::vector<float> found = run_mix(patch_merger_kernels(body->isa), p, tokens);
    if (tame) EXPECT_TRUE(close(found, y)) << body->isa;
  }
}

Node node(Draw& draw, ONNXTensorElementDataType type) {
  const auto batch = static_cast<int64_t>(draw.number(0, 2)), prefix = static_cast<int64_t>(draw.number(0, 2));
  const auto tokens = prefix + static_cast<int64_t>(draw.number(1, 60)), width = static_cast<int64_t>(draw.number(1, 70));
  const auto outputs = static_cast<int64_t>(draw.number(1, 20));
  const bool norm = draw.flag();
  return {"PatchMerger",
          {{"prefix_tokens", prefix},
           {"softmax_axis", std::string(draw.one_of<const char*>({"tokens", "outputs"}))},
           {"scale", draw.one_of({0.0f, 1.0f})},
           {"layer_norm", int64_t{norm}},
           {"eps", draw.one_of({1e-5f, 0.0f})}},
          {tensor(draw, "x", {batch, tokens, width}, type), tensor(draw, "w", {width, outputs}, type),
           norm && draw.flag() ? tensor(draw, "gamma", {width}, type) : Argument{}, norm && draw.flag() ? tensor(draw, "beta", {width}, type) : Argument{}},
          {{"y", type}}};
}

}  // namespace coppice::fuzz
