#include "detent/kernels/product/direct/direct_conv.h"

#include <limits>

#include "detent/core/memory.h"
#include "tests/kernels/products.h"

namespace detent::kernels::testing::direct_conv_test {
namespace {

constexpr float kF32 = 1e-5F;
constexpr float kBF16Result = 0x1p-8F;

/// Beyond named_shapes: more lines than a band, tails of vectors and of tiles, taps that miss pixels.
std::vector<NamedShape> direct_shapes() {
  std::vector<NamedShape> shapes = named_shapes();
  std::erase_if(shapes, [](const NamedShape& named) { return named.shape.groups > 1; });
  const std::vector<NamedShape> more = {
      {"bands", {.n = 2, .h = 61, .w = 30, .c = 16, .o = 17, .kh = 3, .kw = 3, .padding = 1}},
      {"bands_of_strides",
       {.n = 2, .h = 70, .w = 33, .c = 20, .o = 50, .kh = 5, .kw = 5, .stride_h = 2, .stride_w = 2}},
      {"tall_kernel", {.n = 2, .h = 17, .w = 13, .c = 17, .o = 20, .kh = 7, .kw = 3, .padding = {3, 2, 1, 0}}},
      {"strides_beyond_kernel",
       {.n = 3, .h = 11, .w = 14, .c = 3, .o = 16, .kh = 2, .kw = 1, .stride_h = 3, .stride_w = 4}},
      {"stride_and_dilation",
       {.n = 2,
        .h = 19,
        .w = 18,
        .c = 5,
        .o = 9,
        .kh = 3,
        .kw = 4,
        .stride_h = 4,
        .stride_w = 3,
        .padding = {2, 3, 0, 1},
        .dilation_h = 2,
        .dilation_w = 2}},
      {"wide_line", {.n = 2, .h = 1, .w = 41, .c = 3, .o = 64, .kh = 1, .kw = 3, .padding = {0, 0, 1, 1}}},
      {"padding_beyond_kernel", {.n = 1, .h = 4, .w = 5, .c = 7, .o = 33, .kh = 2, .kw = 2, .padding = 3}},
      {"many_channels", {.n = 2, .h = 7, .w = 7, .c = 64, .o = 64, .kh = 3, .kw = 3, .padding = 1}},
      {"pointwise_channels", {.n = 2, .h = 7, .w = 15, .c = 129, .o = 50}},
      {"one_output", {.n = 2, .h = 9, .w = 9, .c = 20, .o = 1, .kh = 5, .kw = 5}},
  };
  shapes.insert(shapes.end(), more.begin(), more.end());
  return shapes;
}

/// A product of every shape, chosen or not: the choice between kernels is one of speed.
class DirectConv2d : public ::testing::TestWithParam<NamedShape> {
 protected:
  const ConvShape shape = GetParam().shape;
  std::vector<float> x = random_floats(shape.n * shape.input_row(), "x");
  std::vector<float> weight = random_floats(shape.weight_elements(), "weight");
  std::vector<float> bias = random_floats(shape.o, "bias");
  std::vector<float> dy = random_floats(shape.n * shape.output_row(), "dy");
  std::vector<float> other = random_floats(shape.n * shape.output_row(), "other");

  void round_to_bf16() {
    for (std::vector<float>* values : {&x, &weight, &dy}) {
      *values = to_floats(to_bf16(*values));
    }
  }
  std::vector<float> expected_forward(bool has_bias, bool has_other, bool relu) const {
    std::vector<float> y(dy.size());
    reference_conv2d_forward(shape, x.data(), weight.data(), has_bias ? bias.data() : nullptr, y.data());
    for (std::size_t i = 0; i < y.size(); ++i) {
      y[i] += has_other ? other[i] : 0.0F;
      y[i] = relu ? std::max(y[i], 0.0F) : y[i];
    }
    return y;
  }
  std::vector<float> expected_backward() const {
    Gradients expected(shape);
    reference_conv2d_backward(shape, dy.data(), x.data(), weight.data(), expected.dx.data(), expected.dw.data(),
                              expected.db.data());
    return expected.dx;
  }
  template <typename T>
  static std::shared_ptr<std::byte> packed(const DirectConv& conv, const std::vector<T>& plain) {
    auto memory = allocate_aligned(conv.weight_bytes());
    conv.pack(bytes_of(plain), memory.get());
    return memory;
  }
};

TEST_P(DirectConv2d, ForwardEqualsReference) {
  const auto conv = DirectConv::make_forward(shape, DType::F32);
  if (!conv) {
    GTEST_SKIP() << "no units";
  }
  const auto memory = packed(*conv, weight);
  for (int epilogue = 0; epilogue < 8; ++epilogue) {
    const bool has_bias = epilogue % 2 != 0;
    const bool has_other = epilogue / 2 % 2 != 0;
    const bool relu = epilogue / 4 != 0;
    std::vector<float> y(dy.size(), std::numeric_limits<float>::quiet_NaN());
    conv->run(bytes_of(x), shape.n, {0, conv->parts()}, memory.get(),
              {.bias = has_bias ? bias.data() : nullptr, .other = has_other ? other.data() : nullptr, .relu = relu},
              bytes_of(y));
    EXPECT_TRUE(are_near("y", y, expected_forward(has_bias, has_other, relu), kF32)) << "epilogue " << epilogue;
  }
}

TEST_P(DirectConv2d, PartsGiveTheSameBits) {
  const auto conv = DirectConv::make_forward(shape, DType::F32);
  if (!conv) {
    GTEST_SKIP() << "no units";
  }
  const auto memory = packed(*conv, weight);
  std::vector<float> whole(dy.size());
  conv->run(bytes_of(x), shape.n, {0, conv->parts()}, memory.get(), {.other = other.data()}, bytes_of(whole));
  for (const std::int64_t count : {std::int64_t{2}, std::int64_t{3}, std::int64_t{5}, conv->parts()}) {
    std::vector<float> y(dy.size(), std::numeric_limits<float>::quiet_NaN());
    const Slices parts{conv->parts(), std::min(conv->parts(), count)};
    for (std::int64_t part = 0; part < parts.count; ++part) {
      conv->run(bytes_of(x), shape.n, parts[part], memory.get(), {.other = other.data()}, bytes_of(y));
    }
    EXPECT_TRUE(are_equal("y", y, whole)) << parts.count << " parts";
  }
}

TEST_P(DirectConv2d, ForwardInBF16EqualsReferenceOfRoundedNumbers) {
  const auto conv = DirectConv::make_forward(shape, DType::BF16);
  if (!conv) {
    GTEST_SKIP() << "no units";
  }
  round_to_bf16();
  const auto memory = packed(*conv, to_bf16(weight));
  const std::vector<bfloat16> x_bf16 = to_bf16(x);
  std::vector<float> y(dy.size(), std::numeric_limits<float>::quiet_NaN());
  conv->run(bytes_of(x_bf16), shape.n, {0, conv->parts()}, memory.get(), {.bias = bias.data(), .relu = true},
            bytes_of(y));
  EXPECT_TRUE(are_near("y in f32", y, expected_forward(true, false, true), kF32));
  std::vector<bfloat16> y_bf16(dy.size(), bfloat16(std::numeric_limits<float>::quiet_NaN()));
  conv->run(bytes_of(x_bf16), shape.n, {0, conv->parts()}, memory.get(), {.out = DType::BF16}, bytes_of(y_bf16));
  EXPECT_TRUE(are_near("y in bf16", to_floats(y_bf16), expected_forward(false, false, false), kBF16Result));
}

TEST_P(DirectConv2d, BackwardEqualsReference) {
  const auto conv = DirectConv::make_backward(shape, DType::F32);
  if (!conv) {
    GTEST_SKIP() << "no units";
  }
  std::vector<float> dx(x.size(), std::numeric_limits<float>::quiet_NaN());
  conv->run(bytes_of(dy), shape.n, {0, conv->parts()}, packed(*conv, weight).get(), {}, bytes_of(dx));
  EXPECT_TRUE(are_near("dx", dx, expected_backward(), kF32));
}

TEST_P(DirectConv2d, BackwardInBF16EqualsReferenceOfRoundedNumbers) {
  const auto conv = DirectConv::make_backward(shape, DType::BF16);
  if (!conv) {
    GTEST_SKIP() << "no units";
  }
  round_to_bf16();
  const auto memory = packed(*conv, to_bf16(weight));
  const std::vector<bfloat16> dy_bf16 = to_bf16(dy);
  std::vector<float> dx(x.size(), std::numeric_limits<float>::quiet_NaN());
  conv->run(bytes_of(dy_bf16), shape.n, {0, conv->parts()}, memory.get(), {}, bytes_of(dx));
  EXPECT_TRUE(are_near("dx in f32", dx, expected_backward(), kF32));
  std::vector<bfloat16> dx_bf16(x.size(), bfloat16(std::numeric_limits<float>::quiet_NaN()));
  conv->run(bytes_of(dy_bf16), shape.n, {0, conv->parts()}, memory.get(), {.out = DType::BF16}, bytes_of(dx_bf16));
  EXPECT_TRUE(are_near("dx in bf16", to_floats(dx_bf16), expected_backward(), kBF16Result));
}

INSTANTIATE_TEST_SUITE_P(Shapes, DirectConv2d, ::testing::ValuesIn(direct_shapes()), shape_name);

}  // namespace
}  // namespace detent::kernels::testing::direct_conv_test
