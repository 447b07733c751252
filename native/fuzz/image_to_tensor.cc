#include <algorithm>

#include "image_reference.h"
#include "target.h"

namespace coppice::fuzz {
namespace {

std::vector<uint8_t> pixels(Draw& draw, size_t count) {
  const std::vector<int64_t> drawn = draw.integers(count, 0, draw.one_of<size_t>({255, 1, 0}));
  return {drawn.begin(), drawn.end()};
}

}  // namespace

void kernels(Draw& draw) {
  const bool nv12 = draw.flag();
  const size_t width = draw.number(1, 40), height = draw.number(1, 40);
  ImageProblem p{nv12 ? 2 * width : width, nv12 ? 2 * height : height, draw.number(1, 40), draw.number(1, 40), 0, 0, 0, 0};
  p.left = draw.number(0, p.new_width - 1);
  p.top = draw.number(0, p.new_height - 1);
  p.crop_width = draw.number(1, p.new_width - p.left);
  p.crop_height = draw.number(1, p.new_height - p.top);
  p.filter = draw.one_of({Filter::kBicubic, Filter::kBilinear, Filter::kNearest});
  p.layout = nv12 ? PixelLayout::kNv12 : PixelLayout::kRgb;
  p.full_range = draw.flag();
  p.pixels = pixels(draw, nv12 ? p.width * p.height * 3 / 2 : p.width * p.height * 3);
  // Exact for red, green and blue; of the other layout all bodies agree.
  const std::vector<float> expected = nv12 ? run_image(image_kernels("scalar"), p) : image_in_integers(p);
  for (const Kernels* body : bodies()) EXPECT_EQ(run_image(image_kernels(body->isa), p), expected) << body->isa;
}

// Pictures become float32 whatever the type.
Node node(Draw& draw, ONNXTensorElementDataType) {
  const bool nv12 = draw.flag();
  const auto width = static_cast<int64_t>(draw.number(1, 50)), height = static_cast<int64_t>(draw.number(1, 50));
  const std::vector<int64_t> shape = nv12 ? std::vector<int64_t>{3 * height, 2 * width} : std::vector<int64_t>{height, width, 3};
  Argument image = bytes("image", shape);
  const std::vector<uint8_t> drawn = pixels(draw, image.bytes.size());
  image.bytes.assign(drawn.begin(), drawn.end());
  return {"ImageToTensor",
          {{"size", draw.one_of<int64_t>({1, 7, 20})},
           {"layout", std::string(nv12 ? "nv12" : "rgb")},
           {"range", std::string(draw.one_of<const char*>({"limited", "full"}))},
           {"interpolation", std::string(draw.one_of<const char*>({"bicubic", "bilinear", "nearest"}))}},
          {image},
          {{"tensor", kFloat}}};
}

}  // namespace coppice::fuzz
