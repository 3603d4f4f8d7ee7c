// Products of f16 numbers: which numbers are rounded and when, what lies below their range, and what loss scaling
// saves.
#include <gtest/gtest.h>

#include <cmath>

#include "detent/autograd/ops.h"

namespace detent::autograd::product_f16_test {
namespace {

constexpr std::uint64_t kSeed = 16;
constexpr double kSmallestF16 = 0x1p-24;  // 6e-8

Tensor random_numbers(Shape shape, const std::string& purpose, float range) {
  RandomStream random(kSeed, purpose);
  Tensor t = Tensor::empty(std::move(shape), DType::F32);
  for (float& v : t.data<float>()) {
    v = random.uniform(-range, range);
  }
  return t;
}

// The nearest f16 numbers, as `dtype`.
Tensor in_f16(const Tensor& x, DType dtype) { return x.to(DType::F32).to(DType::F16).to(DType::F32).to(dtype); }

struct Result {
  Tensor y, dx, dw, db;
};

// A convolution and a linear layer in one list, by the rank of x.
Result run(const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& dy, ProductOptions options) {
  Tape tape;
  const Variable vx = tape.variable(x), vw = tape.variable(w), vb = tape.variable(b);
  const Variable y = x.shape().rank() == 2 ? linear(vx, vw, vb, options)
                                           : conv2d(vx, vw, vb, {.stride_h = 2, .padding = {0, 1}, .product = options});
  tape.backward(y, dy);
  return {y.value(), tape.gradient(vx), tape.gradient(vw), tape.gradient(vb)};
}

void expect_near(const Tensor& actual, const Tensor& expected, double tolerance, const std::string& what) {
  ASSERT_EQ(actual.dtype(), DType::F32) << what;
  double size = 0;
  for (const double e : expected.data<double>()) {
    size = std::max(size, std::abs(e));
  }
  for (std::size_t i = 0; i < expected.data<double>().size(); ++i) {
    const double a = static_cast<double>(actual.data<float>()[i]), e = expected.data<double>()[i];
    ASSERT_NEAR(a, e, tolerance * size) << what << ", element " << i << ", seed " << kSeed;
  }
}

// The same in double precision on numbers rounded beforehand: sums are f32, so the two agree to f32's precision; only
// dx is rounded once more.
TEST(ProductF16, RoundsFactorsAndGradientsOfActivations) {
  const std::vector<std::pair<Shape, Shape>> layers{{{9, 50}, {7, 50}}, {{5, 9, 8, 6}, {4, 3, 3, 6}}};
  for (const auto& [x_shape, w_shape] : layers) {
    const Tensor x = random_numbers(x_shape, "x", 1), w = random_numbers(w_shape, "w", 1);
    const Tensor b = random_numbers({w_shape[0]}, "b", 1);
    const Shape y_shape = x_shape.rank() == 2 ? Shape{9, 7} : Shape{5, 4, 8, 4};
    const Tensor dy = random_numbers(y_shape, "dy", 1);
    const std::string what = x_shape.rank() == 2 ? "linear: " : "conv2d: ";

    const Result low = run(x, w, b, dy, {.dtype = DType::F16});
    const Result exact =
        run(in_f16(x, DType::F64), in_f16(w, DType::F64), b.to(DType::F64), in_f16(dy, DType::F64), {});
    expect_near(low.y, exact.y, 1e-6, what + "y");
    expect_near(low.dx, in_f16(exact.dx, DType::F64), 1e-3, what + "dx");
    expect_near(low.dw, exact.dw, 1e-6, what + "dw");
    expect_near(low.db, exact.db, 1e-6, what + "db");
    const Tensor rounded = in_f16(low.dx, DType::F32);
    for (std::size_t i = 0; i < rounded.data<float>().size(); ++i) {
      ASSERT_EQ(low.dx.data<float>()[i], rounded.data<float>()[i]) << what << "dx is no f16 number at " << i;
    }
  }
}

// Gradients a little below what f16 can hold: lost, unless the loss is scaled before and they are unscaled after.
TEST(ProductF16, LosesGradientsBelowItsRangeWhichScalingKeeps) {
  const Tensor x = random_numbers({8, 16}, "x", 1), w = random_numbers({4, 16}, "w", 1),
               b = Tensor::zeros({4}, DType::F32);
  const auto gradients = [&](DType dtype, double scale) {
    Tape tape;
    const Variable vx = tape.variable(x), vw = tape.variable(w);
    // The gradient of every element of y is 0.4 * 2^-24.
    const Variable loss = autograd::scale(sum(linear(vx, vw, tape.constant(b), {.dtype = dtype})), 0.4 * kSmallestF16);
    tape.backward(loss, scale);
    return std::pair{tape.gradient(vx), tape.gradient(vw)};
  };
  const auto [dx32, dw32] = gradients(DType::F32, 1.0);
  const auto [dx_lost, dw_lost] = gradients(DType::F16, 1.0);
  const auto [dx_kept, dw_kept] = gradients(DType::F16, 65536.0);
  for (std::size_t i = 0; i < dw32.data<float>().size(); ++i) {
    EXPECT_EQ(dw_lost.data<float>()[i], 0.0F) << "dw, element " << i;
    EXPECT_NEAR(dw_kept.data<float>()[i] / 65536.0F, dw32.data<float>()[i], 1e-3 * 8 * kSmallestF16)
        << "dw, element " << i;
  }
  for (std::size_t i = 0; i < dx32.data<float>().size(); ++i) {
    EXPECT_EQ(dx_lost.data<float>()[i], 0.0F) << "dx, element " << i;
    EXPECT_NEAR(dx_kept.data<float>()[i] / 65536.0F, dx32.data<float>()[i], 4e-3 * kSmallestF16) << "dx, element " << i;
  }
}

TEST(ProductF16, GradientsAboveItsRangeBecomeInfinite) {
  Tape tape;
  const Variable x = tape.variable(Tensor::full({1, 2}, DType::F32, 1.0));
  const Variable w = tape.variable(Tensor::full({1, 2}, DType::F32, 1.0));
  tape.backward(linear(x, w, {}, {.dtype = DType::F16}), Tensor::full({1, 1}, DType::F32, 65520.0));
  EXPECT_TRUE(std::isinf(tape.gradient(w).data<float>()[0]));
  EXPECT_TRUE(std::isinf(tape.gradient(x).data<float>()[0]));
}

}  // namespace
}  // namespace detent::autograd::product_f16_test
