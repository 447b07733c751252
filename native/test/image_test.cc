// Every body of the picture kernels against Pillow's arithmetic and against the filter itself, at sizes that break resizers.
#include <algorithm>
#include <tuple>

#include "bodies.h"
#include "image_reference.h"

namespace coppice::test {
namespace {

struct Geometry {
  size_t width, height, new_width, new_height;
};

using Shape = std::tuple<const Kernels*, Geometry, Filter>;

std::string filter_name(Filter filter) {
  return filter == Filter::kBicubic ? "bicubic" : filter == Filter::kBilinear ? "bilinear" : "nearest";
}

std::string shape_name(const testing::TestParamInfo<Shape>& info) {
  const auto& [body, g, filter] = info.param;
  return std::string(body->isa) + "_" + std::to_string(g.width) + "x" + std::to_string(g.height) + "_to_" + std::to_string(g.new_width) + "x" +
         std::to_string(g.new_height) + "_" + filter_name(filter);
}

class ImageAtEveryShape : public testing::TestWithParam<Shape> {
 protected:
  const ImageKernels& kernels() const { return image_kernels(std::get<0>(GetParam())->isa); }
  ImageProblem problem(PixelLayout layout = PixelLayout::kRgb) const {
    const Geometry& g = std::get<1>(GetParam());
    ImageProblem p = random_image(g.width, g.height, g.new_width, g.new_height, layout);
    p.filter = std::get<2>(GetParam());
    return p;
  }
};

// One pixel, one row, one column, unchanged, enlarged, reduced a little and by hundreds; chunks of 16 bytes and groups of
// 8 and 16 rows left incomplete.
INSTANTIATE_TEST_SUITE_P(Body, ImageAtEveryShape,
                         testing::Combine(testing::ValuesIn(bodies()),
                                          testing::Values(Geometry{1, 1, 1, 1}, Geometry{1, 1, 9, 9}, Geometry{2, 2, 3, 5}, Geometry{7, 1, 3, 1},
                                                          Geometry{1, 40, 1, 9}, Geometry{16, 16, 16, 16}, Geometry{17, 15, 16, 14},
                                                          Geometry{5, 6, 31, 33}, Geometry{37, 53, 32, 46}, Geometry{64, 33, 21, 10},
                                                          Geometry{331, 46, 7, 6}, Geometry{500, 30, 1, 1}, Geometry{30, 60, 10, 20},
                                                          Geometry{30, 62, 10, 20}, Geometry{13, 200, 8, 123}, Geometry{20, 40, 20, 13}),
                                          testing::Values(Filter::kBicubic, Filter::kBilinear, Filter::kNearest)),
                         shape_name);

TEST_P(ImageAtEveryShape, ShouldEqualPillowsArithmetic) {
  const ImageProblem p = problem();
  EXPECT_EQ(run_image(kernels(), p), image_in_integers(p));
}

TEST_P(ImageAtEveryShape, ShouldStayWithinHalfALevelOfEachPass) {
  const ImageProblem p = problem();
  EXPECT_TRUE(close(run_image(kernels(), p), image_reference(p)));
}

TEST_P(ImageAtEveryShape, CropShouldEqualTheSamePlaceOfTheWhole) {
  ImageProblem p = problem();
  const std::vector<float> whole = run_image(kernels(), p);
  const size_t width = p.new_width, height = p.new_height;
  p.left = width / 3;
  p.top = height / 4;
  p.crop_width = width - width / 2;
  p.crop_height = height - height / 2;
  // Which axis goes first is a matter of the whole, so both agree.
  std::vector<float> expected;
  for (size_t c = 0; c < 3; ++c) {
    for (size_t y = p.top; y < p.top + p.crop_height; ++y) {
      const float* row = whole.data() + (c * height + y) * width + p.left;
      expected.insert(expected.end(), row, row + p.crop_width);
    }
  }
  EXPECT_EQ(run_image(kernels(), p), expected);
}

class Nv12AtEveryShape : public ImageAtEveryShape {};
INSTANTIATE_TEST_SUITE_P(Body, Nv12AtEveryShape,
                         testing::Combine(testing::ValuesIn(bodies()),
                                          testing::Values(Geometry{2, 2, 1, 1}, Geometry{2, 2, 3, 5}, Geometry{16, 16, 16, 16}, Geometry{18, 34, 5, 9},
                                                          Geometry{66, 34, 21, 10}, Geometry{30, 62, 10, 20}, Geometry{14, 200, 8, 123}),
                                          testing::Values(Filter::kBicubic, Filter::kNearest)),
                         shape_name);

TEST_P(Nv12AtEveryShape, ShouldEqualTheConvertedPicture) {
  for (bool full : {false, true}) {
    ImageProblem p = problem(PixelLayout::kNv12);
    p.full_range = full;
    EXPECT_TRUE(close(run_image(kernels(), p), image_reference(p))) << (full ? "full" : "limited") << " range";
  }
}

TEST_P(Nv12AtEveryShape, CropShouldStartAtAnyColumn) {
  // Chroma comes in pairs of columns: an odd first column is where a conversion goes wrong.
  ImageProblem p = problem(PixelLayout::kNv12);
  for (p.left = 0; p.left < std::min<size_t>(p.new_width, 3); ++p.left) {
    p.crop_width = p.new_width - p.left;
    EXPECT_TRUE(close(run_image(kernels(), p), image_reference(p))) << "from column " << p.left;
  }
}

class ImageBody : public testing::TestWithParam<const Kernels*> {
 protected:
  const ImageKernels& kernels() const { return image_kernels(GetParam()->isa); }
};

INSTANTIATE_TEST_SUITE_P(, ImageBody, testing::ValuesIn(bodies()), [](const auto& info) { return std::string(info.param->isa); });

TEST_P(ImageBody, ShouldHaveTheNameOfItsInstructionSet) { EXPECT_STREQ(kernels().isa, GetParam()->isa); }

TEST_P(ImageBody, Nv12ShouldGiveEveryColourToTheLevel) {
  // Unchanged size: what is left is the conversion, compared level by level.
  for (bool full : {false, true}) {
    ImageProblem p{64, 48, 64, 48, 0, 0, 64, 48};
    p.layout = PixelLayout::kNv12;
    p.full_range = full;
    for (size_t i = 0; i < 64 * 72; ++i) p.pixels.push_back(static_cast<uint8_t>(i * 37 + i / 64 * 11));
    Expected expected = image_reference(p);
    for (size_t i = 0; i < expected.bound.size(); ++i) {
      expected.bound[i] = nv12_error(full) / 255 / p.std[i / (64 * 48)] + 1e-6;
    }
    EXPECT_TRUE(close(run_image(kernels(), p), expected)) << (full ? "full" : "limited") << " range";
  }
}

TEST_P(ImageBody, UnchangedSizeShouldChangeNothing) {
  const ImageProblem p = random_image(33, 18, 33, 18);
  std::vector<float> expected;
  for (size_t c = 0; c < 3; ++c) {
    for (size_t i = c; i < p.pixels.size(); i += 3) expected.push_back(p.levels()[c * 256 + p.pixels[i]]);
  }
  EXPECT_EQ(run_image(kernels(), p), expected);
}

TEST_P(ImageBody, OnePixelShouldFillWhateverIsAsked) {
  ImageProblem p = random_image(1, 1, 30, 20);
  p.pixels = {0, 128, 255};
  const std::vector<float> tensor = run_image(kernels(), p), levels = p.levels();
  for (size_t i = 0; i < tensor.size(); ++i) EXPECT_EQ(tensor[i], levels[i / 600 * 256 + p.pixels[i / 600]]) << i;
}

// The twin of all the above: the comparisons go red on pictures that are slightly wrong.
class WrongImage : public ImageBody {
 protected:
  ImageProblem wrong = random_image(60, 40, 21, 14);
  const std::vector<float> exact = image_in_integers(wrong);
  const Expected expected = image_reference(wrong);
};

INSTANTIATE_TEST_SUITE_P(, WrongImage, testing::ValuesIn(bodies()), [](const auto& info) { return std::string(info.param->isa); });

TEST_P(WrongImage, AnotherFilterShouldShow) {
  wrong.filter = Filter::kBilinear;
  EXPECT_FALSE(close(run_image(kernels(), wrong), expected));
}

TEST_P(WrongImage, CropOffByOneShouldShow) {
  wrong.crop_width -= 1;
  const Expected cropped = image_reference(wrong);
  EXPECT_TRUE(close(run_image(kernels(), wrong), cropped));
  wrong.left = 1;
  EXPECT_FALSE(close(run_image(kernels(), wrong), cropped));
}

TEST_P(WrongImage, SwappedColoursShouldShow) {
  for (size_t i = 0; i < wrong.pixels.size(); i += 3) std::swap(wrong.pixels[i], wrong.pixels[i + 2]);
  EXPECT_FALSE(close(run_image(kernels(), wrong), expected));
}

TEST_P(WrongImage, TheOtherRangeShouldShow) {
  ImageProblem p = random_image(60, 40, 21, 14, PixelLayout::kNv12);
  const Expected limited = image_reference(p);
  p.full_range = true;
  EXPECT_FALSE(close(run_image(kernels(), p), limited));
}

TEST_P(WrongImage, NotANumberZerosAndOneLevelShouldShow) {
  std::vector<float> tensor = exact;
  tensor[100] = NAN;
  EXPECT_FALSE(close(tensor, expected));
  EXPECT_FALSE(close(std::vector<float>(exact.size(), 0.0f), expected));
  ImageProblem lighter = wrong;
  for (uint8_t& level : lighter.pixels) level = static_cast<uint8_t>(std::min(255, level + 3));
  EXPECT_NE(run_image(kernels(), lighter), exact);
}

}  // namespace
}  // namespace coppice::test
