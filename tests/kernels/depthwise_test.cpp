// Depthwise convolutions against their reference twins: integers exactly, floats to rounding. The shapes of
// named_shapes that are depthwise are tested with all others; these are the borders of vectors, blocks, strides and
// paddings.

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "detent/kernels/codes/quantize.h"
#include "detent/kernels/product/depthwise/depthwise.h"
#include "detent/kernels/product/int8_conv.h"
#include "tests/kernels/products.h"

namespace detent::kernels::testing::depthwise_test {
namespace {

constexpr float kF32 = 1e-5F;
constexpr float kBF16Result = 0x1p-8F;

ConvShape depthwise(std::int64_t channels, ConvShape shape) {
  shape.c = shape.o = shape.groups = channels;
  return shape;
}

std::vector<NamedShape> depthwise_shapes() {
  return {
      {"one_channel", depthwise(1, {.n = 2, .h = 6, .w = 7, .kh = 3, .kw = 3, .padding = 1})},
      {"three_channels", depthwise(3, {.n = 3, .h = 9, .w = 8, .kh = 3, .kw = 3, .padding = 1})},
      {"sixteen", depthwise(16, {.n = 3, .h = 8, .w = 7, .kh = 3, .kw = 3, .padding = 1})},
      {"sixteen_wide", depthwise(16, {.n = 2, .h = 28, .w = 28, .kh = 3, .kw = 3, .padding = 1})},
      {"sixteen_strided",
       depthwise(16, {.n = 2, .h = 9, .w = 11, .kh = 3, .kw = 3, .stride_h = 2, .stride_w = 2, .padding = 1})},
      {"seventeen", depthwise(17, {.n = 2, .h = 7, .w = 6, .kh = 3, .kw = 3, .padding = 1})},
      {"thirty_two", depthwise(32, {.n = 2, .h = 5, .w = 9, .kh = 3, .kw = 3, .padding = {1, 1, 1, 1}})},
      {"forty_eight", depthwise(48, {.n = 2, .h = 5, .w = 9, .kh = 2, .kw = 3, .padding = {0, 1, 1, 2}})},
      {"sixty_four", depthwise(64, {.n = 2, .h = 14, .w = 14, .kh = 3, .kw = 3, .padding = 1})},
      {"sixty_four_strided",
       depthwise(64, {.n = 2, .h = 14, .w = 14, .kh = 3, .kw = 3, .stride_h = 2, .stride_w = 2, .padding = 1})},
      {"hundred_and_twelve", depthwise(112, {.n = 1, .h = 7, .w = 7, .kh = 3, .kw = 3, .padding = 1})},
      {"hundred_and_thirty", depthwise(130, {.n = 1, .h = 4, .w = 5, .kh = 3, .kw = 3, .padding = 1})},
      {"no_padding", depthwise(20, {.n = 2, .h = 7, .w = 9, .kh = 3, .kw = 3})},
      {"five_by_five",
       depthwise(24, {.n = 2, .h = 11, .w = 10, .kh = 5, .kw = 5, .stride_h = 2, .stride_w = 1, .padding = 2})},
      {"seven_by_one", depthwise(16, {.n = 2, .h = 9, .w = 5, .kh = 7, .kw = 1, .padding = {3, 0}})},
      {"pointwise", depthwise(33, {.n = 2, .h = 5, .w = 5})},
      {"pixels", depthwise(40, {.n = 5})},
      {"stride_beyond_kernel",
       depthwise(16, {.n = 2, .h = 11, .w = 12, .kh = 2, .kw = 2, .stride_h = 3, .stride_w = 4, .padding = {1, 0}})},
      {"dilated",
       depthwise(
           16,
           {.n = 2, .h = 12, .w = 13, .kh = 3, .kw = 3, .padding = {2, 3, 1, 0}, .dilation_h = 2, .dilation_w = 3})},
      {"dilated_strided", depthwise(19, {.n = 2,
                                         .h = 12,
                                         .w = 13,
                                         .kh = 3,
                                         .kw = 3,
                                         .stride_h = 2,
                                         .stride_w = 3,
                                         .padding = {2, 0, 1, 3},
                                         .dilation_h = 3,
                                         .dilation_w = 2})},
      {"mostly_padding", depthwise(16, {.n = 2, .h = 2, .w = 1, .kh = 3, .kw = 3, .padding = 4})},
      {"many_slices", depthwise(32, {.n = 37, .h = 28, .w = 28, .kh = 3, .kw = 3, .padding = 1})},
  };
}

class Conv2dDepthwise : public ::testing::TestWithParam<NamedShape> {
 protected:
  const ConvShape shape = GetParam().shape;
};

TEST_P(Conv2dDepthwise, FloatsEqualReference) {
  for (const DType dtype : {DType::F32, DType::BF16}) {
    SCOPED_TRACE(name_of(dtype));
    std::vector<float> x = to_floats(to_bf16(random_floats(shape.n * shape.input_row(), "x")));
    const std::vector<float> weight = to_floats(to_bf16(random_floats(shape.weight_elements(), "weight")));
    const std::vector<float> dy = to_floats(to_bf16(random_floats(shape.n * shape.output_row(), "dy")));
    const std::vector<float> bias = random_floats(shape.o, "bias");
    const auto typed = [&](const std::vector<float>& values) {
      std::vector<std::byte> bytes(values.size() * size_of(dtype));
      const std::vector<bfloat16> narrow = to_bf16(values);
      std::copy_n(dtype == DType::F32 ? bytes_of(values) : bytes_of(narrow), bytes.size(), bytes.begin());
      return bytes;
    };
    const std::vector<std::byte> x_typed = typed(x), weight_typed = typed(weight), dy_typed = typed(dy);

    std::vector<float> expected(dy.size()), expected_biased(dy.size());
    reference_conv2d_forward<float>(shape, x.data(), weight.data(), nullptr, expected.data());
    reference_conv2d_forward(shape, x.data(), weight.data(), bias.data(), expected_biased.data());
    for (float& value : expected_biased) {
      value = std::max(value, 0.0F);
    }
    const PackedWeight forward = pack_forward(shape, dtype, weight_typed.data());
    std::vector<float> y(dy.size(), std::numeric_limits<float>::quiet_NaN());
    conv2d_forward(shape, dtype, x_typed.data(), forward, bias.data(), true, DType::F32, bytes_of(y));
    EXPECT_TRUE(are_near("y with bias and relu", y, expected_biased, kF32));
    conv2d_forward(shape, dtype, x_typed.data(), forward, nullptr, false, DType::F32, bytes_of(y));
    EXPECT_TRUE(are_near("y", y, expected, kF32));

    Gradients wanted(shape), gradients(shape);
    reference_conv2d_backward(shape, dy.data(), x.data(), weight.data(), wanted.dx.data(), wanted.dw.data(),
                              wanted.db.data());
    ConvBackward backward{.dtype = dtype,
                          .dy = dy_typed.data(),
                          .make_dy = {},
                          .x = x_typed.data(),
                          .make_x = {},
                          .weight = pack_backward(shape, dtype, weight_typed.data()),
                          .dx = bytes_of(gradients.dx),
                          .dw = gradients.dw.data(),
                          .db = gradients.db.data()};
    conv2d_backward(shape, backward);
    EXPECT_TRUE(are_near("dx", gradients.dx, wanted.dx, kF32));
    EXPECT_TRUE(are_near("dw", gradients.dw, wanted.dw, kF32));
    EXPECT_TRUE(are_near("db", gradients.db, wanted.db, kF32));
    if (dtype == DType::BF16) {
      std::vector<bfloat16> narrow(dy.size()), narrow_dx(x.size());
      conv2d_forward(shape, dtype, x_typed.data(), forward, nullptr, false, DType::BF16, bytes_of(narrow));
      EXPECT_TRUE(are_near("y in bf16", to_floats(narrow), expected, kBF16Result));
      backward.dx = bytes_of(narrow_dx);
      backward.dx_dtype = DType::BF16;
      backward.dw = backward.db = nullptr;
      conv2d_backward(shape, backward);
      EXPECT_TRUE(are_near("dx in bf16", to_floats(narrow_dx), wanted.dx, kBF16Result));
    }
  }
}

TEST_P(Conv2dDepthwise, LinesEqualReference) {
  if (!kernels::depthwise::serves(shape)) {
    GTEST_SKIP() << "no units";
  }
  const std::vector<float> x = random_floats(shape.n * shape.input_row(), "x");
  const std::vector<float> weight = random_floats(shape.weight_elements(), "weight");
  const std::vector<float> bias = random_floats(shape.o, "bias");
  std::vector<float> expected(static_cast<std::size_t>(shape.n * shape.output_row()));
  reference_conv2d_forward(shape, x.data(), weight.data(), bias.data(), expected.data());
  const kernels::depthwise::Weight packed = kernels::depthwise::pack_forward(shape, DType::F32, bytes_of(weight));
  const auto run = [&](const Slices& parts) {
    std::vector<float> y(expected.size(), std::numeric_limits<float>::quiet_NaN());
    for (std::int64_t part = 0; part < parts.count; ++part) {
      kernels::depthwise::forward(shape, parts[part], DType::F32, bytes_of(x), packed.data.get(), bias.data(), false,
                                  DType::F32, bytes_of(y));
    }
    return y;
  };
  const std::vector<float> whole = run({shape.out_h(), 1});
  EXPECT_TRUE(are_near("y", whole, expected, kF32));
  for (const std::int64_t count : {std::int64_t{3}, shape.out_h()}) {
    EXPECT_TRUE(are_equal("y in parts", run({shape.out_h(), count}), whole)) << count;
  }
}

TEST_P(Conv2dDepthwise, SumsEqualReference) {
  for (const std::int32_t zero_point : {0, 77, 255}) {
    for (const bool is_extreme : {false, true}) {
      const auto x = random_codes<std::uint8_t>(shape.n * shape.input_row(), is_extreme ? 255 : 0, 255, "x");
      const auto weight = random_codes<std::int8_t>(shape.weight_elements(), is_extreme ? 127 : -127, 127, "weight");
      std::vector<std::int32_t> expected(static_cast<std::size_t>(shape.n * shape.output_row()));
      reference_conv2d_integer(shape, x.data(), zero_point, weight.data(), expected.data());
      std::vector<std::int32_t> sums(expected.size(), -1);
      conv2d_integer(shape, x.data(), zero_point, pack_integer(shape, weight.data()),
                     [&](std::int64_t, Range images, const std::int32_t* acc) {
                       std::copy_n(acc, images.size() * shape.output_row(),
                                   sums.data() + images.begin * shape.output_row());
                     });
      EXPECT_TRUE(are_equal("sums", sums, expected)) << "zero point " << zero_point << ", extreme " << is_extreme;
    }
  }
}

TEST_P(Conv2dDepthwise, LayersOfCodesEqualRequantizedSums) {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    RandomStream random(seed, "depthwise layer");
    const bool relu = seed % 2 == 1;
    const std::int32_t x_zero_point = seed == 0 ? 0 : 200, y_zero_point = relu ? 3 : 128;
    const auto x = random_codes<std::uint8_t>(shape.n * shape.input_row(), 0, 255, "x", seed);
    const auto weight = random_codes<std::int8_t>(shape.weight_elements(), -127, 127, "weight", seed);
    Requantization r{{}, {}, {}, {0.01F, y_zero_point}, unsigned_codes(seed == 3 ? 4 : 8), relu};
    for (std::int64_t o = 0; o < shape.o; ++o) {
      // From one code to beyond what s32 holds.
      r.multiplier.push_back(seed == 2 && o % 3 == 0 ? 1e12F : random.uniform(0.001F, 0.03F));
      r.real_scale.push_back(random.uniform(0.001F, 0.01F));
      // The last beyond what f32 holds exactly beside a sum.
      const float most = seed == 4 ? 3e7F : 9999.0F;
      r.bias.push_back(std::floor(random.uniform(-most, most)));
    }
    if (seed == 0) {
      r.bias.clear();
    }
    const std::int64_t rows = shape.n * shape.out_h() * shape.out_w();
    const auto elements = static_cast<std::size_t>(rows * shape.o);
    std::vector<std::int32_t> acc(elements);
    reference_conv2d_integer(shape, x.data(), x_zero_point, weight.data(), acc.data());
    std::vector<std::uint8_t> expected(elements), expected_mask(static_cast<std::size_t>(mask_bytes(rows * shape.o)));
    MinMax expected_seen;
    requantize(acc.data(), rows, r, expected.data(), expected_mask.data(), &expected_seen);

    const Int8Conv layer = Int8Conv::make(shape, weight.data(), x_zero_point, r);
    if (layer.defined()) {
      std::vector<std::uint8_t> whole(elements, 0xAA), by_part(elements, 0xAA);
      layer.run(x.data(), shape.n, {0, layer.parts()}, whole.data());
      EXPECT_TRUE(are_equal("codes", whole, expected)) << "seed " << seed;
      for (std::int64_t part = 0; part < layer.parts(); ++part) {
        layer.run(x.data(), shape.n, {part, part + 1}, by_part.data());
      }
      EXPECT_TRUE(are_equal("codes by part", by_part, expected)) << "seed " << seed;
    } else {
      EXPECT_TRUE(shape.c == 1 || !has_int8_units() || seed == 2) << "a shape that should be served";
    }
    const Int8Conv observed = Int8Conv::make_observed(shape, weight.data(), x_zero_point, r);
    if (observed.defined()) {
      std::vector<std::uint8_t> y(elements, 0xAA), mask(expected_mask.size(), 0xAA);
      MinMax seen, seen_alone;
      observed.observe(x.data(), shape.n, y.data(), mask.data(), &seen);
      EXPECT_TRUE(are_equal("observed codes", y, expected)) << "seed " << seed;
      EXPECT_TRUE(are_equal("mask", mask, expected_mask)) << "seed " << seed;
      EXPECT_EQ(seen, expected_seen) << "seed " << seed << ": " << seen.min << " to " << seen.max << ", expected "
                                     << expected_seen.min << " to " << expected_seen.max;
      observed.observe(x.data(), shape.n, y.data(), nullptr, &seen_alone);
      EXPECT_EQ(seen_alone, expected_seen);
    } else {
      EXPECT_TRUE(shape.c % 16 != 0 || !has_int8_units()) << "a shape that should be served";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Conv2dDepthwise, ::testing::ValuesIn(depthwise_shapes()), shape_name);

}  // namespace
}  // namespace detent::kernels::testing::depthwise_test
