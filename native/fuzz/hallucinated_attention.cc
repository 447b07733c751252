#include "hallucinated_reference.h"
#include "target.h"

namespace coppice::fuzz {

// Its reference knows numbers of ordinary size, and renormalising magnifies small sums at will: with any others the kernels run,
// and nothing is asked of what they find.
void kernels(Draw& draw) {
  const bool tame = draw.flag();
  const auto values = [&](size_t count) { return tame ? draw.even(count) : draw.floats(count); };
  HallucinatedProblem p{};
  p.tokens = draw.number(1, draw.number(0, 7) ? 20 : 100);
  p.real = draw.number(1, 3);
  p.hallucinated = draw.number(1, 4);
  p.dim = draw.number(1, draw.number(0, 7) ? 9 : 40);
  p.qkv = values(p.tokens * p.width());
  p.dw_kernel = draw.one_of<size_t>({0, 1, 3});
  if (p.dw_kernel == 0 || draw.flag()) p.mix = values(p.hallucinated * p.real);
  p.dw = values(p.hallucinated * p.dw_kernel * p.dw_kernel);
  p.before_softmax = draw.flag();
  if (!tame) p.renorm = draw.one_of({Renorm::kNone, p.before_softmax ? Renorm::kNone : Renorm::kRowSum, p.hallucinated > 1 ? Renorm::kLayerNorm : Renorm::kNone});
  const size_t rows = draw.one_of<size_t>({kHallucinatedRows, 1, 5, 24});
  const Expected y = hallucinated_reference(p);
  for (const Kernels* body : bodies()) {
    const std::vector<float> found = run_hallucinated(hallucination_kernels(body->isa), p, rows);
    if (tame) EXPECT_TRUE(close(found, y)) << body->isa;
  }
}

Node node(Draw& draw, ONNXTensorElementDataType type) {
  const auto real = static_cast<int64_t>(draw.number(1, 3)), made = static_cast<int64_t>(draw.number(1, 3)), side = draw.one_of<int64_t>({0, 1, 3});
  const auto batch = static_cast<int64_t>(draw.number(0, 2)), tokens = static_cast<int64_t>(draw.number(1, draw.number(0, 7) ? 12 : 100));
  const auto dim = draw.one_of<int64_t>({1, 4, 7, 16});
  const bool before = draw.flag();
  const auto renorm = draw.one_of<const char*>({"none", before ? "none" : "row_sum", made > 1 ? "layernorm" : "none"});
  return {"HallucinatedAttention",
          {{"num_heads", real + made},
           {"dw_kernel", side},
           {"stage", std::string(before ? "pre_softmax" : "post_softmax")},
           {"renorm", std::string(renorm)},
           {"eps", draw.one_of({1e-6f, 0.0f})}},
          {tensor(draw, "qkv", {batch, tokens, (3 * real + made) * dim}, type),
           side == 0 || draw.flag() ? tensor(draw, "mix", {made, real}, type) : Argument{},
           side > 0 ? tensor(draw, "dw", {made, side, side}, type) : Argument{}},
          {{"y", type}}};
}

}  // namespace coppice::fuzz
