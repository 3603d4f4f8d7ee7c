// Values in bf16: what products in bf16 give, and what other ops make of it.

#include <gtest/gtest.h>

#include "detent/autograd/ops.h"

namespace detent::autograd::bf16_test {
namespace {

Tensor counting(Shape shape, float step) {
  Tensor t = Tensor::empty(std::move(shape), DType::F32);
  float value = -1.0F;
  for (float& x : t.data<float>()) {
    x = value;
    value = value > 1.0F ? -1.0F : value + step;
  }
  return t;
}

TEST(Bf16, StaysBf16BetweenProductsAndIsF32ForTheRest) {
  Tape tape;
  const Variable x = tape.constant(counting({2, 6, 6, 3}, 0.125F));
  const Variable w1 = tape.variable(counting({4, 3, 3, 3}, 0.25F));
  const Variable w2 = tape.variable(counting({5, 16}, 0.25F));
  const Variable none;
  const ProductOptions bf16{.dtype = DType::BF16, .relu = true};
  const Variable y1 = conv2d(x, w1, none, {.product = bf16});
  const Variable pooled = max_pool2d(y1, {});
  const Variable y2 = linear(flatten(pooled), w2, none, {.dtype = DType::BF16});
  EXPECT_EQ(y1.dtype(), DType::BF16);
  EXPECT_EQ(pooled.dtype(), DType::BF16);
  EXPECT_EQ(y2.dtype(), DType::BF16);
  EXPECT_EQ(activation(y2, kernels::Activation::Sigmoid).dtype(), DType::F32);
  EXPECT_EQ(add(y2, y2).dtype(), DType::BF16);
  EXPECT_EQ(add(y2, activation(y2, kernels::Activation::Relu)).dtype(), DType::F32);
  const Variable loss = mean(mul(y2, y2));
  EXPECT_EQ(loss.dtype(), DType::F32);
  tape.backward(loss);
  EXPECT_EQ(tape.gradient(w1).dtype(), DType::F32) << "master weights have f32 gradients";
  EXPECT_EQ(tape.gradient(w2).dtype(), DType::F32);
}

TEST(Bf16, ABatchNormAndAnAddGiveOnWhatF32WouldRounded) {
  const Tensor values = counting({50, 20}, 0.0625F), others = counting({50, 20}, 0.1875F);
  const Tensor weights = counting({20}, 0.25F);
  struct Result {
    Tensor y, dx, dgamma;
  };
  const auto run = [&](DType dtype) {
    Tape tape;
    const Variable x = tape.variable(values.to(dtype)), other = tape.variable(others.to(dtype));
    const Variable gamma = tape.variable(weights), beta = tape.variable(weights);
    Tensor mean = Tensor::zeros({20}, DType::F32), variance = Tensor::full({20}, DType::F32, 1.0);
    const Variable normalized = batch_norm(x, gamma, beta, {mean, variance}, {.relu = true});
    const Variable y = add(normalized, other, true);
    EXPECT_EQ(normalized.dtype(), dtype);
    EXPECT_EQ(y.dtype(), dtype);
    tape.backward(y, others.to(dtype));
    EXPECT_EQ(tape.gradient(x).dtype(), dtype);
    EXPECT_EQ(tape.gradient(gamma).dtype(), DType::F32);
    return Result{y.value().to(DType::F32), tape.gradient(x).to(DType::F32), tape.gradient(gamma)};
  };
  const Result narrow = run(DType::BF16), wide = run(DType::F32);
  const auto expect_near = [](const Tensor& actual, const Tensor& expected, float tolerance) {
    for (std::size_t i = 0; i < actual.data<float>().size(); ++i) {
      const float e = expected.data<float>()[i];
      ASSERT_NEAR(actual.data<float>()[i], e, tolerance * std::max(1.0F, std::abs(e))) << i;
    }
  };
  expect_near(narrow.y, wide.y, 0x1p-7F);
  expect_near(narrow.dx, wide.dx, 0x1p-6F);
  expect_near(narrow.dgamma, wide.dgamma, 0x1p-6F);
}

TEST(Bf16, AValueWithGradientsOfBothTypesSumsThemInF32) {
  Tape tape;
  const Tensor codes = Tensor::full({3}, DType::BF16, 1.0);
  const Variable x = tape.variable(codes);
  const Variable y = tape.record("both", codes, {x, x}, [](Backward& bw) {
    bw.grad(0, [] { return Tensor::full({3}, DType::BF16, 1.0); });
    bw.grad(1, [] { return Tensor::full({3}, DType::F32, 0.0009765625); });
  });
  tape.backward(y, Tensor::full({3}, DType::BF16, 1.0));
  EXPECT_EQ(tape.gradient(x).dtype(), DType::F32);
  EXPECT_EQ(tape.gradient(x).data<float>()[0], 1.0009765625F) << "the sum is not rounded to bf16";
}

}  // namespace
}  // namespace detent::autograd::bf16_test
