#include "detent/kernels/product/conv.h"

#include <limits>

#include "tests/kernels/products.h"

namespace detent::kernels::testing::conv_test {
namespace {

constexpr float kF32 = 1e-5F;
constexpr float kBF16Result = 0x1p-8F;

class Conv2d : public ::testing::TestWithParam<NamedShape> {
 protected:
  const ConvShape shape = GetParam().shape;
  std::vector<float> x = random_floats(shape.n * shape.input_row(), "x");
  std::vector<float> weight = random_floats(shape.weight_elements(), "weight");
  std::vector<float> bias = random_floats(shape.o, "bias");
  std::vector<float> dy = random_floats(shape.n * shape.output_row(), "dy");

  void round_to_bf16() {
    for (std::vector<float>* values : {&x, &weight, &dy}) {
      *values = to_floats(to_bf16(*values));
    }
  }
  std::vector<float> expected_forward(bool has_bias, bool relu) const {
    std::vector<float> y(dy.size());
    reference_conv2d_forward(shape, x.data(), weight.data(), has_bias ? bias.data() : nullptr, y.data());
    if (relu) {
      std::transform(y.begin(), y.end(), y.begin(), [](float value) { return std::max(value, 0.0F); });
    }
    return y;
  }
};

TEST_P(Conv2d, ForwardEqualsReference) {
  const PackedWeight packed = pack_forward(shape, DType::F32, bytes_of(weight));
  for (const bool has_bias : {false, true}) {
    for (const bool relu : {false, true}) {
      std::vector<float> y(dy.size(), std::numeric_limits<float>::quiet_NaN());
      conv2d_forward(shape, DType::F32, bytes_of(x), packed, has_bias ? bias.data() : nullptr, relu, DType::F32,
                     bytes_of(y));
      EXPECT_TRUE(are_near("y", y, expected_forward(has_bias, relu), kF32)) << "bias " << has_bias << ", relu " << relu;
    }
  }
}

TEST_P(Conv2d, ForwardInBF16EqualsReferenceOfRoundedNumbers) {
  round_to_bf16();
  const std::vector<bfloat16> x_bf16 = to_bf16(x);
  const std::vector<bfloat16> weight_bf16 = to_bf16(weight);
  const PackedWeight packed = pack_forward(shape, DType::BF16, bytes_of(weight_bf16));
  std::vector<float> y(dy.size());
  conv2d_forward(shape, DType::BF16, bytes_of(x_bf16), packed, bias.data(), true, DType::F32, bytes_of(y));
  EXPECT_TRUE(are_near("y in f32", y, expected_forward(true, true), kF32));
  std::vector<bfloat16> y_bf16(dy.size());
  conv2d_forward(shape, DType::BF16, bytes_of(x_bf16), packed, nullptr, false, DType::BF16, bytes_of(y_bf16));
  EXPECT_TRUE(are_near("y in bf16", to_floats(y_bf16), expected_forward(false, false), kBF16Result));
}

TEST_P(Conv2d, BackwardEqualsReference) {
  Gradients expected(shape);
  reference_conv2d_backward(shape, dy.data(), x.data(), weight.data(), expected.dx.data(), expected.dw.data(),
                            expected.db.data());
  Gradients actual(shape);
  conv2d_backward(shape, {.dy = bytes_of(dy),
                          .make_dy = {},
                          .x = bytes_of(x),
                          .make_x = {},
                          .weight = pack_backward(shape, DType::F32, bytes_of(weight)),
                          .dx = bytes_of(actual.dx),
                          .dw = actual.dw.data(),
                          .db = actual.db.data()});
  EXPECT_TRUE(are_near("dx", actual.dx, expected.dx, kF32));
  EXPECT_TRUE(are_near("dw", actual.dw, expected.dw, kF32));
  EXPECT_TRUE(are_near("db", actual.db, expected.db, kF32));
}

TEST_P(Conv2d, BackwardInBF16EqualsReferenceOfRoundedNumbers) {
  round_to_bf16();
  const std::vector<bfloat16> x_bf16 = to_bf16(x);
  const std::vector<bfloat16> dy_bf16 = to_bf16(dy);
  const std::vector<bfloat16> weight_bf16 = to_bf16(weight);
  Gradients expected(shape);
  reference_conv2d_backward(shape, dy.data(), x.data(), weight.data(), expected.dx.data(), expected.dw.data(),
                            expected.db.data());
  Gradients actual(shape);
  ConvBackward backward{.dtype = DType::BF16,
                        .dy = bytes_of(dy_bf16),
                        .make_dy = {},
                        .x = bytes_of(x_bf16),
                        .make_x = {},
                        .weight = pack_backward(shape, DType::BF16, bytes_of(weight_bf16)),
                        .dx = bytes_of(actual.dx),
                        .dw = actual.dw.data(),
                        .db = actual.db.data()};
  conv2d_backward(shape, backward);
  EXPECT_TRUE(are_near("dx in f32", actual.dx, expected.dx, kF32));
  EXPECT_TRUE(are_near("dw", actual.dw, expected.dw, kF32));
  EXPECT_TRUE(are_near("db", actual.db, expected.db, kF32));
  std::vector<bfloat16> dx_bf16(x.size());
  backward.dx = bytes_of(dx_bf16);
  backward.dx_dtype = DType::BF16;
  backward.dw = backward.db = nullptr;
  conv2d_backward(shape, backward);
  EXPECT_TRUE(are_near("dx in bf16", to_floats(dx_bf16), expected.dx, kBF16Result));
}

TEST_P(Conv2d, OperandsMadeASliceAtATimeGiveTheSameBits) {
  const PackedWeight packed = pack_backward(shape, DType::F32, bytes_of(weight));
  Gradients whole(shape);
  conv2d_backward(shape, {.dy = bytes_of(dy),
                          .make_dy = {},
                          .x = bytes_of(x),
                          .make_x = {},
                          .weight = packed,
                          .dx = bytes_of(whole.dx),
                          .dw = whole.dw.data(),
                          .db = whole.db.data()});
  Gradients made(shape);
  const Slices slices = conv_slices(shape);
  std::vector<int> calls(static_cast<std::size_t>(slices.count));
  conv2d_backward(shape, {.make_dy =
                              [&](std::int64_t slice, Range images, std::byte* to) {
                                EXPECT_EQ(images.begin, slices[slice].begin);
                                EXPECT_EQ(images.end, slices[slice].end);
                                ++calls[static_cast<std::size_t>(slice)];
                                std::copy_n(dy.data() + images.begin * shape.output_row(),
                                            images.size() * shape.output_row(), reinterpret_cast<float*>(to));
                              },
                          .make_x =
                              [&](Range images, std::byte* to) {
                                std::copy_n(x.data() + images.begin * shape.input_row(),
                                            images.size() * shape.input_row(), reinterpret_cast<float*>(to));
                              },
                          .weight = packed,
                          .dx = bytes_of(made.dx),
                          .dw = made.dw.data(),
                          .db = made.db.data()});
  EXPECT_TRUE(are_equal("dx", made.dx, whole.dx));
  EXPECT_TRUE(are_equal("dw", made.dw, whole.dw));
  EXPECT_TRUE(are_equal("db", made.db, whole.db));
  EXPECT_EQ(calls, std::vector<int>(calls.size(), 1)) << "make_dy is called once a slice";
}

TEST_P(Conv2d, ThreadsDoNotChangeABit) {
  const auto run = [&](int threads) {
    ThreadPool pool(threads);
    std::vector<float> y(dy.size());
    Gradients gradients(shape);
    pool.run([&] {
      conv2d_forward(shape, DType::F32, bytes_of(x), pack_forward(shape, DType::F32, bytes_of(weight)), bias.data(),
                     false, DType::F32, bytes_of(y));
      conv2d_backward(shape, {.dy = bytes_of(dy),
                              .make_dy = {},
                              .x = bytes_of(x),
                              .make_x = {},
                              .weight = pack_backward(shape, DType::F32, bytes_of(weight)),
                              .dx = bytes_of(gradients.dx),
                              .dw = gradients.dw.data(),
                              .db = gradients.db.data()});
    });
    return std::pair(y, gradients);
  };
  const auto [y, gradients] = run(1);
  for (const int threads : {2, 5}) {
    const auto [other_y, other] = run(threads);
    EXPECT_TRUE(are_equal("y", other_y, y)) << threads << " threads";
    EXPECT_TRUE(are_equal("dx", other.dx, gradients.dx)) << threads << " threads";
    EXPECT_TRUE(are_equal("dw", other.dw, gradients.dw)) << threads << " threads";
    EXPECT_TRUE(are_equal("db", other.db, gradients.db)) << threads << " threads";
  }
}

TEST(ConvSlices, AreEnoughForManyThreadsWhereThereAreFewImages) {
  ConvShape shape{.n = 1, .h = 28, .w = 28, .c = 16, .o = 16, .kh = 3, .kw = 3, .padding = 1};
  const std::vector<std::pair<std::int64_t, std::int64_t>> expected{{1, 1}, {7, 7}, {8, 8}, {16, 8}, {24, 8}, {128, 8}};
  for (const auto& [images, slices] : expected) {
    shape.n = images;
    EXPECT_EQ(conv_slices(shape).count, slices) << images << " images";
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Conv2d, ::testing::ValuesIn(named_shapes()), shape_name);

TEST(Conv2dRandom, ShapesEqualReference) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    RandomStream random(seed, "conv shapes");
    const auto pick = [&](std::int64_t low, std::int64_t high) {
      return low + static_cast<std::int64_t>(random.index(static_cast<std::uint32_t>(high - low + 1)));
    };
    const std::int64_t groups = pick(0, 2) == 0 ? pick(2, 4) : 1;
    ConvShape s{
        .n = pick(1, 20), .h = pick(5, 12), .w = pick(5, 12), .c = groups * pick(1, 20), .o = groups * pick(1, 20)};
    s.groups = groups;
    s.kh = pick(1, 3);
    s.kw = pick(1, 3);
    s.stride_h = pick(1, 2);
    s.stride_w = pick(1, 2);
    s.padding = {pick(0, 2), pick(0, 2), pick(0, 2), pick(0, 2)};
    s.dilation_h = pick(1, 2);
    s.dilation_w = pick(1, 2);
    const Shape images{s.n, s.h, s.w, s.c};
    SCOPED_TRACE(::testing::Message() << "seed " << seed << ": " << images << " by " << s.weight_shape());
    const std::vector<float> x = random_floats(s.n * s.input_row(), "x", seed);
    const std::vector<float> weight = random_floats(s.weight_elements(), "weight", seed);
    const std::vector<float> dy = random_floats(s.n * s.output_row(), "dy", seed);
    std::vector<float> y(dy.size());
    std::vector<float> expected_y(dy.size());
    reference_conv2d_forward<float>(s, x.data(), weight.data(), nullptr, expected_y.data());
    conv2d_forward(s, DType::F32, bytes_of(x), pack_forward(s, DType::F32, bytes_of(weight)), nullptr, false,
                   DType::F32, bytes_of(y));
    EXPECT_TRUE(are_near("y", y, expected_y, kF32));
    Gradients expected(s);
    Gradients actual(s);
    reference_conv2d_backward(s, dy.data(), x.data(), weight.data(), expected.dx.data(), expected.dw.data(),
                              expected.db.data());
    conv2d_backward(s, {.dy = bytes_of(dy),
                        .make_dy = {},
                        .x = bytes_of(x),
                        .make_x = {},
                        .weight = pack_backward(s, DType::F32, bytes_of(weight)),
                        .dx = bytes_of(actual.dx),
                        .dw = actual.dw.data(),
                        .db = actual.db.data()});
    EXPECT_TRUE(are_near("dx", actual.dx, expected.dx, kF32));
    EXPECT_TRUE(are_near("dw", actual.dw, expected.dw, kF32));
    EXPECT_TRUE(are_near("db", actual.db, expected.db, kF32));
  }
}

TEST(Conv2dPacked, FitsEveryBatch) {
  ConvShape shape{.n = 128, .h = 10, .w = 10, .c = 8, .o = 16, .kh = 3, .kw = 3};
  const std::vector<float> weight = random_floats(shape.weight_elements(), "weight");
  const PackedWeight packed = pack_forward(shape, DType::F32, bytes_of(weight));
  const std::vector<float> x = random_floats(shape.n * shape.input_row(), "x");
  std::vector<float> all(static_cast<std::size_t>(shape.n * shape.output_row()));
  conv2d_forward(shape, DType::F32, bytes_of(x), packed, nullptr, false, DType::F32, bytes_of(all));
  for (const std::int64_t n : {1, 2, 17, 100}) {
    shape.n = n;
    std::vector<float> y(static_cast<std::size_t>(n * shape.output_row()));
    conv2d_forward(shape, DType::F32, bytes_of(x), packed, nullptr, false, DType::F32, bytes_of(y));
    all.resize(std::max(all.size(), y.size()));
    EXPECT_TRUE(are_near("y", y, {all.begin(), all.begin() + static_cast<std::ptrdiff_t>(y.size())}, kF32)) << n;
  }
}

TEST(Conv2dPacked, KeepsTheOwnerOfALinearWeight) {
  const ConvShape shape = ConvShape::linear(4, 8, 3);
  const auto weight = std::make_shared<std::vector<float>>(random_floats(shape.weight_elements(), "weight"));
  {
    const PackedWeight packed = pack_forward(shape, DType::F32, bytes_of(*weight), weight);
    EXPECT_EQ(weight.use_count(), 2);
  }
  EXPECT_EQ(weight.use_count(), 1);
}

TEST(Conv2dErrors, NameWhatIsWrong) {
  const auto message = [](auto&& fn) -> std::string {
    try {
      fn();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  const ConvShape shape{.n = 2, .h = 4, .w = 4, .c = 3, .o = 4, .kh = 3, .kw = 3};
  const std::vector<float> weight(static_cast<std::size_t>(shape.weight_elements()));
  std::vector<float> numbers(1000);
  EXPECT_THAT(message([&] { ConvShape{.h = 2, .w = 9, .kh = 3, .kw = 3}.validate(); }),
              ::testing::HasSubstr("does not fit into images of 2 x 9"));
  EXPECT_THAT(message([&] { ConvShape{.c = 4, .o = 6, .groups = 4}.validate(); }),
              ::testing::HasSubstr("groups that divide 4 channels and 6 outputs, got 4"));
  EXPECT_THAT(message([&] { pack_forward(shape, DType::S8, bytes_of(weight)); }),
              ::testing::HasSubstr("expected a weight of f32 or bf16, got s8"));
  const PackedWeight packed = pack_forward(shape, DType::F32, bytes_of(weight));
  ConvShape other = shape;
  other.c = 5;
  EXPECT_THAT(message([&] {
                conv2d_forward(other, DType::F32, bytes_of(numbers), packed, nullptr, false, DType::F32,
                               bytes_of(numbers));
              }),
              ::testing::HasSubstr("expected a packed weight of [4, 3, 3, 5]"));
  EXPECT_THAT(
      message([&] { conv2d_backward(shape, {.make_dy = {}, .make_x = {}, .weight = {}, .dx = bytes_of(numbers)}); }),
      ::testing::HasSubstr("expected dy or make_dy"));
  EXPECT_THAT(
      message([&] { pack_integer(ConvShape::linear(1, 66312, 1), nullptr); }),
      ::testing::HasSubstr("a sum of 66312 products of codes up to 255 and 127 may pass 2^31; expected at most 66311"));
  EXPECT_EQ((ProductCodes{.x = 15, .weight = 127}.largest_depth()), 1127288);
  EXPECT_EQ((ProductCodes{.x = 255, .weight = 7}.largest_depth()), 1203072);
}

}  // namespace
}  // namespace detent::kernels::testing::conv_test
