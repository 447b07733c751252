// The golden cases through every body: what the operator's adapter does with its attributes, done here by hand.
#include <cmath>

#include "bodies.h"
#include "golden_items.h"
#include "hallucinated_reference.h"
#include "image_reference.h"
#include "problem.h"
#include "top_k.h"

namespace coppice::test {
namespace {

using BodyCase = std::tuple<const Kernels*, GoldenCase>;

std::string body_case_name(const testing::TestParamInfo<BodyCase>& info) {
  return case_name(std::get<0>(info.param)->isa, std::get<1>(info.param));
}

class AttentionGolden : public testing::TestWithParam<BodyCase> {
 protected:
  const Kernels& kernels = *std::get<0>(GetParam());
  const GoldenCase& golden = std::get<1>(GetParam());
  const std::vector<size_t>& shape = golden.input("qkv")->shape;
  const size_t batch = shape[0];

  Problem problem(size_t number) const {
    Problem p{shape[1], static_cast<size_t>(golden.number("num_heads", 0)), 0, item(golden.input("qkv")->floats, batch, number), {}, {}, {}, {}, {}};
    p.dim = shape[2] / 3 / p.heads;
    if (const Tensor* index = golden.input("query_index")) p.query_index = item(index->integers, batch, number);
    if (const Tensor* size = golden.input("size")) p.key_weight = item(size->floats, batch, number);
    return p;
  }

  Problem softmax_problem(size_t number) const {
    Problem p = problem(number);
    for (float& weight : p.key_weight) weight = std::log(weight);
    return p;
  }

  std::vector<float> mean_over_heads(const std::vector<float>& rows, const Problem& p) const {
    std::vector<float> mean(p.tokens);
    for (size_t i = 0; i < rows.size(); ++i) mean[i % p.tokens] += rows[i] / static_cast<float>(p.heads);
    return mean;
  }
};

class LinearAttentionGolden : public AttentionGolden {
 protected:
  void add_waves(Problem& p, size_t number) const {
    const std::string reweight = golden.attribute("reweight", "none");
    if (reweight == "none") return;
    const Tensor* given = golden.input("positions");
    std::vector<double> place(p.tokens);
    for (size_t i = 0; i < p.tokens; ++i) place[i] = given ? static_cast<double>(item(given->integers, batch, number)[i]) : static_cast<double>(i);
    if (reweight == "cos1d") {
      const double length = golden.number("length", 0) > 0 ? golden.number("length", 0) : static_cast<double>(p.tokens);
      for (const bool sine : {false, true}) {
        for (const double x : place) p.query_wave.push_back(wave(x / length, sine));
      }
      p.key_wave = p.query_wave;
      return;
    }
    // Patches see patches by four products of waves; of two more, one lets all see prefix keys, one lets the prefix see patches.
    const double grid = golden.number("grid", 0), prefix = golden.number("prefix_tokens", 1);
    p.query_wave.assign(6 * p.tokens, 0);
    p.key_wave = p.query_wave;
    for (size_t i = 0; i < p.tokens; ++i) {
      const bool outside = place[i] < prefix;
      const double down = std::floor((place[i] - prefix) / grid) / grid, across = std::fmod(place[i] - prefix, grid) / grid;
      for (size_t number = 0; number < 4 && !outside; ++number) {
        p.query_wave[number * p.tokens + i] = wave(down, number & 1) * wave(across, number & 2);
        p.key_wave[number * p.tokens + i] = p.query_wave[number * p.tokens + i];
      }
      p.query_wave[4 * p.tokens + i] = 1;
      p.key_wave[4 * p.tokens + i] = outside;
      p.query_wave[5 * p.tokens + i] = outside;
      p.key_wave[5 * p.tokens + i] = !outside;
    }
  }

 private:
  static float wave(double share, bool sine) {
    const double angle = 1.57079632679489661923 * share;
    return static_cast<float>(sine ? std::sin(angle) : std::cos(angle));
  }
};
INSTANTIATE_TEST_SUITE_P(LinearAttention, LinearAttentionGolden,
                         testing::Combine(testing::ValuesIn(bodies()), testing::ValuesIn(golden_cases(COPPICE_GOLDEN, "LinearAttention"))),
                         body_case_name);

TEST_P(LinearAttentionGolden, ShouldAgreeInBothOrders) {
  LinearForm form{};
  const std::string map = golden.attribute("feature_map", "elu1");
  form.feature_map = map == "elu1" ? FeatureMap::kElu1 : map == "relu" ? FeatureMap::kRelu : FeatureMap::kReluPow3;
  const std::string normalize = golden.attribute("normalize", "row_sum");
  form.normalize = normalize == "row_sum" ? Normalize::kRowSum : normalize == "sqrt_d" ? Normalize::kSqrtD : Normalize::kNone;
  form.eps = static_cast<float>(golden.number("eps", 1e-6));
  form.add_eps = golden.attribute("eps_mode", "clamp") == "add";
  for (size_t b = 0; b < batch; ++b) {
    Problem p = problem(b);
    add_waves(p, b);
    if (form.feature_map == FeatureMap::kReluPow3) {
      p.query_weight = run_cube_factors(kernels, p, false);
      std::vector<float> key_factor = run_cube_factors(kernels, p, true);
      for (size_t i = 0; i < p.tokens && !p.key_weight.empty(); ++i) key_factor[i] *= p.key_weight[i];
      p.key_weight = key_factor;
    }
    const Expected y = expected(*golden.output("y"), batch, b, golden.tolerance());
    EXPECT_TRUE(close(run_linear(kernels, p, form), y));
    EXPECT_TRUE(close(run_quadratic(kernels, p, form), y));
  }
}

class TokenAttentionGolden : public AttentionGolden {};
INSTANTIATE_TEST_SUITE_P(TokenAttention, TokenAttentionGolden,
                         testing::Combine(testing::ValuesIn(bodies()), testing::ValuesIn(golden_cases(COPPICE_GOLDEN, "TokenAttention"))),
                         body_case_name);

TEST_P(TokenAttentionGolden, ShouldAgree) {
  for (size_t b = 0; b < batch; ++b) {
    const Problem p = softmax_problem(b);
    const auto scale = static_cast<float>(golden.number("scale", 1 / std::sqrt(static_cast<double>(p.dim))));
    EXPECT_TRUE(close(run_softmax(kernels, p, scale), expected(*golden.output("y"), batch, b, golden.tolerance())));
    if (!golden.output("scores")) continue;
    const std::string score = golden.attribute("score", "none");
    const bool received = score == "received";
    std::vector<float> scores =
        mean_over_heads(received ? run_received(kernels, p, scale) : run_class_attention(kernels, p, scale, false), p);
    const std::vector<float> norms = run_value_norms(kernels, p);
    for (size_t j = 0; j < p.tokens; ++j) scores[j] *= received ? 1 / static_cast<float>(p.rows()) : score == "cls_value_norm" ? norms[j] : 1;
    EXPECT_TRUE(close(scores, expected(*golden.output("scores"), batch, b, golden.tolerance())));
  }
}

class TokenScoresGolden : public AttentionGolden {};
INSTANTIATE_TEST_SUITE_P(TokenScores, TokenScoresGolden,
                         testing::Combine(testing::ValuesIn(bodies()), testing::ValuesIn(golden_cases(COPPICE_GOLDEN, "TokenScores"))),
                         body_case_name);

TEST_P(TokenScoresGolden, ShouldAgree) {
  const std::string renormalise = golden.attribute("renormalise", "none");
  for (size_t b = 0; b < batch; ++b) {
    const Problem p = softmax_problem(b);
    const bool by_column = golden.attribute("source", "cls_row") == "cls_col";
    std::vector<float> rows = run_class_attention(kernels, p, 1 / std::sqrt(static_cast<float>(p.dim)), by_column);
    const auto prefix = static_cast<size_t>(golden.number("prefix_tokens", 1));
    const auto divide = [&](float* row) {
      float total = 0;
      for (size_t j = prefix; j < p.tokens; ++j) total += row[j];
      for (size_t j = 0; j < p.tokens; ++j) row[j] /= total;
    };
    for (size_t h = 0; h < p.heads && renormalise == "per_head"; ++h) divide(rows.data() + h * p.tokens);
    std::vector<float> scores = mean_over_heads(rows, p);
    if (golden.number("value_norm", 0) == 1) {
      const std::vector<float> norms = run_value_norms(kernels, p);
      for (size_t j = 0; j < p.tokens; ++j) scores[j] *= norms[j];
    }
    if (renormalise == "total") divide(scores.data());
    EXPECT_TRUE(close(scores, expected(*golden.output("scores"), batch, b, golden.tolerance())));
  }
}

class HallucinatedAttentionGolden : public testing::TestWithParam<BodyCase> {};
INSTANTIATE_TEST_SUITE_P(HallucinatedAttention, HallucinatedAttentionGolden,
                         testing::Combine(testing::ValuesIn(bodies()), testing::ValuesIn(golden_cases(COPPICE_GOLDEN, "HallucinatedAttention"))),
                         body_case_name);

TEST_P(HallucinatedAttentionGolden, ShouldAgree) {
  const auto& [kernels, golden] = GetParam();
  const Tensor& qkv = *golden.input("qkv");
  const Tensor *mix = golden.input("mix"), *dw = golden.input("dw");
  const size_t made = (mix ? mix : dw)->shape[0], real = static_cast<size_t>(golden.number("num_heads", 0)) - made;
  for (size_t b = 0; b < qkv.shape[0]; ++b) {
    HallucinatedProblem p{qkv.shape[1], real, made, qkv.shape[2] / (3 * real + made), item(qkv.floats, qkv.shape[0], b), {}, {}};
    if (mix) p.mix = mix->floats;
    if (dw) p.dw = dw->floats;
    p.dw_kernel = static_cast<size_t>(golden.number("dw_kernel", 0));
    p.before_softmax = golden.attribute("stage", "post_softmax") == "pre_softmax";
    const std::string renorm = golden.attribute("renorm", "none");
    p.renorm = renorm == "none" ? Renorm::kNone : renorm == "row_sum" ? Renorm::kRowSum : Renorm::kLayerNorm;
    p.eps = static_cast<float>(golden.number("eps", 1e-6));
    EXPECT_TRUE(close(run_hallucinated(hallucination_kernels(kernels->isa), p), expected(*golden.output("y"), qkv.shape[0], b, golden.tolerance())));
  }
}

class ImageToTensorGolden : public testing::TestWithParam<BodyCase> {};
INSTANTIATE_TEST_SUITE_P(ImageToTensor, ImageToTensorGolden,
                         testing::Combine(testing::ValuesIn(bodies()), testing::ValuesIn(golden_cases(COPPICE_GOLDEN, "ImageToTensor"))),
                         body_case_name);

TEST_P(ImageToTensorGolden, ShouldAgree) {
  const auto& [kernels, golden] = GetParam();
  const Tensor &image = *golden.input("image"), &tensor = *golden.output("tensor");
  const double size = golden.number("size", 0);
  const std::vector<double> crop = golden.numbers("crop", {size, size});
  ImageProblem p{};
  p.layout = golden.attribute("layout", "rgb") == "nv12" ? PixelLayout::kNv12 : PixelLayout::kRgb;
  p.full_range = golden.attribute("range", "limited") == "full";
  const std::string filter = golden.attribute("interpolation", "bicubic");
  p.filter = filter == "bicubic" ? Filter::kBicubic : filter == "bilinear" ? Filter::kBilinear : Filter::kNearest;
  p.mean = golden.numbers("mean", {0.5, 0.5, 0.5});
  p.std = golden.numbers("std", {0.5, 0.5, 0.5});
  p.pixels = image.bytes;
  p.width = image.shape[1];
  p.height = p.layout == PixelLayout::kNv12 ? image.shape[0] / 3 * 2 : image.shape[0];
  const double scale = size / static_cast<double>(std::min(p.width, p.height));
  p.new_width = p.width <= p.height ? static_cast<size_t>(size) : static_cast<size_t>(static_cast<double>(p.width) * scale);
  p.new_height = p.width <= p.height ? static_cast<size_t>(static_cast<double>(p.height) * scale) : static_cast<size_t>(size);
  p.crop_height = static_cast<size_t>(crop[0]);
  p.crop_width = static_cast<size_t>(crop[1]);
  p.left = static_cast<size_t>(std::nearbyint(static_cast<double>(p.new_width - p.crop_width) / 2));
  p.top = static_cast<size_t>(std::nearbyint(static_cast<double>(p.new_height - p.crop_height) / 2));
  EXPECT_TRUE(close(run_image(image_kernels(kernels->isa), p), expected(tensor, 1, 0, golden.tolerance())));
}

class TopKTokensGolden : public testing::TestWithParam<GoldenCase> {};
INSTANTIATE_TEST_SUITE_P(TopKTokens, TopKTokensGolden, testing::ValuesIn(golden_cases(COPPICE_GOLDEN, "TopKTokens")),
                         [](const auto& info) { return case_name("any", info.param); });

TEST_P(TopKTokensGolden, ShouldAgree) {
  const GoldenCase& golden = GetParam();
  const Tensor& scores = *golden.input("scores");
  const size_t batch = scores.shape[0], tokens = scores.shape[1];
  const auto prefix = static_cast<size_t>(golden.number("prefix_tokens", 1));
  const auto count = static_cast<size_t>(golden.input("count")->integers[0]);
  const bool fused = golden.number("fuse_pruned", 0) == 1 && prefix + count < tokens;
  for (size_t b = 0; b < batch; ++b) {
    const std::vector<float> row = item(scores.floats, batch, b);
    std::vector<int64_t> index(prefix + count);
    std::vector<uint32_t> order(tokens - prefix);
    top_k_tokens(row.data(), tokens, prefix, count, index.data(), order.data());
    EXPECT_EQ(index, item(golden.output("index")->integers, batch, b));
    if (golden.output("y")) {
      const std::vector<float> x = item(golden.input("x")->floats, batch, b);
      const size_t width = x.size() / tokens;
      std::vector<float> y((index.size() + fused) * width);
      gather_rows(x.data(), width, index.data(), index.size(), y.data());
      if (fused) {
        fuse_pruned(row.data(), x.data(), tokens, width, index.data(), index.size(), golden.number("normalize_fused", 1) == 1,
                    y.data() + index.size() * width);
      }
      EXPECT_TRUE(close(y, expected(*golden.output("y"), batch, b, golden.tolerance())));
    }
    if (golden.output("kept_size")) {
      const std::vector<float> size = item(golden.input("size")->floats, batch, b);
      std::vector<float> kept(index.size() + fused);
      gather_rows(size.data(), 1, index.data(), index.size(), kept.data());
      if (fused) kept.back() = pruned_size(size.data(), tokens, index.data(), index.size());
      EXPECT_TRUE(close(kept, expected(*golden.output("kept_size"), batch, b, golden.tolerance())));
    }
  }
}

}  // namespace
}  // namespace coppice::test
