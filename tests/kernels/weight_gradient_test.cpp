// The gradient of a convolution's weights by tiles, against the loops of the reference, with whatever units the
// processor has: DETENT_MAX_CPU_ISA chooses among them.
#include "detent/kernels/product/weight_gradient/weight_gradient.h"

#include "detent/core/processor/units.h"
#include "tests/kernels/products.h"

namespace detent::kernels::weight_gradient_test {
namespace {

using namespace testing;

/// Sums of products in f32, in another order than the reference's.
constexpr float kTolerance = 2e-5F;

class WeightGradients : public ::testing::TestWithParam<NamedShape> {
 protected:
  const ConvShape shape = GetParam().shape;
  std::vector<float> x = random_floats(shape.n * shape.input_row(), "x");
  std::vector<float> dy = random_floats(shape.n * shape.output_row(), "dy");

  std::vector<float> expected() const {
    std::vector<float> dw(static_cast<std::size_t>(shape.weight_elements()));
    reference_conv2d_backward<float>(shape, dy.data(), x.data(), nullptr, nullptr, dw.data(), nullptr);
    return dw;
  }

  /// In two calls, as two slices are added.
  static std::vector<float> actual(const WeightGradient& gradient, const ConvShape& shape, const std::byte* x,
                                   const std::byte* dy, std::size_t number) {
    std::vector<float> sums(static_cast<std::size_t>(gradient.sum_elements()));
    const std::int64_t half = shape.n / 2;
    gradient.add(half, x, dy, sums.data());
    gradient.add(shape.n - half, x + half * shape.input_row() * static_cast<std::int64_t>(number),
                 dy + half * shape.output_row() * static_cast<std::int64_t>(number), sums.data());
    std::vector<float> dw(static_cast<std::size_t>(shape.weight_elements()), std::numeric_limits<float>::quiet_NaN());
    gradient.store(sums.data(), dw.data());
    return dw;
  }
};

TEST_P(WeightGradients, EqualReference) {
  const auto gradient = WeightGradient::make(shape, DType::F32);
  if (!gradient) {
    GTEST_SKIP() << "these units leave this shape to oneDNN";
  }
  EXPECT_TRUE(
      are_near("dw", actual(*gradient, shape, bytes_of(x), bytes_of(dy), sizeof(float)), expected(), kTolerance));
}

TEST_P(WeightGradients, InBF16EqualReferenceOfRoundedNumbers) {
  const auto gradient = WeightGradient::make(shape, DType::BF16);
  if (!gradient) {
    GTEST_SKIP() << "these units leave this shape to oneDNN";
  }
  const std::vector<bfloat16> x_bf16 = to_bf16(x), dy_bf16 = to_bf16(dy);
  x = to_floats(x_bf16);
  dy = to_floats(dy_bf16);
  EXPECT_TRUE(are_near("dw", actual(*gradient, shape, bytes_of(x_bf16), bytes_of(dy_bf16), sizeof(bfloat16)),
                       expected(), kTolerance));
}

TEST_P(WeightGradients, AreWhatConvolutionsUse) {
  std::vector<float> dw(static_cast<std::size_t>(shape.weight_elements()), std::numeric_limits<float>::quiet_NaN());
  ConvBackward backward;
  backward.dy = bytes_of(dy);
  backward.x = bytes_of(x);
  backward.dw = dw.data();
  conv2d_backward(shape, backward);
  EXPECT_TRUE(are_near("dw", dw, expected(), kTolerance));
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, WeightGradients,
    ::testing::ValuesIn(std::vector<NamedShape>{
        {"one_vector", {.n = 3, .h = 7, .w = 7, .c = 16, .o = 16, .kh = 3, .kw = 3}},
        {"padded", {.n = 3, .h = 7, .w = 9, .c = 16, .o = 16, .kh = 3, .kw = 3, .padding = 1}},
        {"channels_20_to_50", {.n = 4, .h = 12, .w = 11, .c = 20, .o = 50, .kh = 5, .kw = 5}},
        {"channels_20_padded", {.n = 4, .h = 9, .w = 8, .c = 20, .o = 7, .kh = 3, .kw = 3, .padding = {1, 0, 2, 3}}},
        {"channels_6", {.n = 5, .h = 14, .w = 14, .c = 6, .o = 16, .kh = 5, .kw = 5}},
        {"channels_5", {.n = 5, .h = 6, .w = 7, .c = 5, .o = 3, .kh = 3, .kw = 3, .padding = 1}},
        {"channels_3_wide_kernel", {.n = 3, .h = 17, .w = 16, .c = 3, .o = 9, .kh = 7, .kw = 5, .padding = 3}},
        {"one_channel", {.n = 3, .h = 9, .w = 8, .c = 1, .o = 18, .kh = 3, .kw = 3, .padding = 1}},
        {"one_channel_long_kernel", {.n = 3, .h = 5, .w = 40, .c = 1, .o = 17, .kh = 2, .kw = 15}},
        {"one_output", {.n = 3, .h = 9, .w = 8, .c = 16, .o = 1, .kh = 3, .kw = 3, .padding = 1}},
        {"stride", {.n = 3, .h = 12, .w = 13, .c = 16, .o = 32, .kh = 3, .kw = 3, .stride_h = 2, .stride_w = 2}},
        {"stride_padded_below",
         {.n = 3,
          .h = 14,
          .w = 14,
          .c = 32,
          .o = 13,
          .kh = 3,
          .kw = 3,
          .stride_h = 2,
          .stride_w = 2,
          .padding = {0, 0, 1, 1}}},
        {"stride_beyond_kernel",
         {.n = 3, .h = 13, .w = 14, .c = 24, .o = 10, .kh = 2, .kw = 2, .stride_h = 3, .stride_w = 4, .padding = 1}},
        {"padding_beyond_image",
         {.n = 3,
          .h = 1,
          .w = 1,
          .c = 16,
          .o = 5,
          .kh = 3,
          .kw = 3,
          .stride_h = 4,
          .stride_w = 5,
          .padding = {3, 3, 1, 1}}},
        {"dilation_of_lines", {.n = 3, .h = 11, .w = 9, .c = 16, .o = 6, .kh = 3, .kw = 1, .dilation_h = 3}},
        {"high_kernel", {.n = 3, .h = 9, .w = 9, .c = 20, .o = 6, .kh = 5, .kw = 1, .padding = {2, 0}}},
        {"whole_image", {.n = 21, .h = 5, .w = 5, .c = 16, .o = 12, .kh = 5, .kw = 5}},
        {"pointwise", {.n = 7, .h = 7, .w = 7, .c = 64, .o = 48}},
        {"pointwise_16", {.n = 5, .h = 9, .w = 6, .c = 16, .o = 33}},
        {"pointwise_odd", {.n = 9, .h = 5, .w = 5, .c = 7, .o = 10}},
        {"pointwise_one", {.n = 9, .h = 5, .w = 3, .c = 1, .o = 1}},
        {"pointwise_stride", {.n = 5, .h = 9, .w = 11, .c = 16, .o = 32, .stride_h = 2, .stride_w = 2}},
        {"pointwise_odd_stride", {.n = 5, .h = 9, .w = 11, .c = 21, .o = 4, .stride_h = 3, .stride_w = 2}},
        {"pointwise_padded", {.n = 3, .h = 5, .w = 5, .c = 16, .o = 16, .padding = {0, 0, 0, 2}}},
        {"many_groups", {.n = 9, .h = 28, .w = 28, .c = 16, .o = 16, .kh = 3, .kw = 3, .padding = 1}},
        {"all_tiles", {.n = 2, .h = 4, .w = 4, .c = 80, .o = 31, .kh = 1, .kw = 2}},
    }),
    shape_name);

TEST(WeightGradientRule, LeavesOtherShapesToOneDNN) {
  const ConvShape shape{.n = 2, .h = 9, .w = 9, .c = 32, .o = 32, .kh = 3, .kw = 3};
  for (const DType dtype : {DType::F32, DType::BF16}) {
    const bool has_units = dtype == DType::F32 ? processor_units().avx2 : processor_units().avx512_bf16;
    EXPECT_EQ(WeightGradient::make(shape, dtype).has_value(), has_units);
    ConvShape other = shape;
    other.groups = 2;
    EXPECT_FALSE(WeightGradient::make(other, dtype)) << "groups";
    other = shape;
    other.dilation_w = 2;
    EXPECT_FALSE(WeightGradient::make(other, dtype)) << "lines in pieces";
    other = shape;
    other.c = 1;
    EXPECT_FALSE(WeightGradient::make(other, dtype)) << "empty lanes";
  }
}

}  // namespace
}  // namespace detent::kernels::weight_gradient_test
