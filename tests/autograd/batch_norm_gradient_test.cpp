// A batch norm hands the gradient of its input on before it is computed; products must make of it what they make of the
// dense one.
#include "detent/autograd/batch_norm_gradient.h"

#include <gtest/gtest.h>

#include <cstring>

#include "detent/autograd/ops.h"
#include "detent/core/philox.h"

namespace detent::autograd::batch_norm_gradient_test {
namespace {

Tensor random(Shape shape, std::uint64_t seed) {
  Tensor t = Tensor::empty(std::move(shape), DType::F32);
  RandomStream numbers(seed, "batch norm gradient");
  for (float& x : t.data<float>()) {
    x = numbers.normal();
  }
  return t;
}

struct Case {
  std::string name;
  Shape x, w;
  std::int64_t groups = 1;
  bool relu = false;
};

/// dx, dw and dgamma of a product and a batch norm. `dense`: with an op in between that computes the gradient.
std::vector<Tensor> gradients(const Case& c, DType dtype, bool training, bool dense) {
  Tape tape;
  const Variable x = tape.variable(random(c.x, 1)), w = tape.variable(random(c.w, 2));
  const std::int64_t channels = c.w[0];
  const Variable gamma = tape.variable(random({channels}, 3)), beta = tape.variable(random({channels}, 4));
  const ProductOptions product{.dtype = dtype, .relu = c.relu};
  Variable y = c.x.rank() == 2 ? linear(x, w, {}, product)
                               : conv2d(x, w, {}, {.padding = 1, .groups = c.groups, .product = product});
  y = dense ? reshape(y, y.shape()) : y;
  Tensor mean = random({channels}, 5), variance = Tensor::full({channels}, DType::F32, 1.5);
  const Variable z = batch_norm(y, gamma, beta, {mean, variance}, {.training = training, .relu = true});
  tape.backward(z, random(z.shape(), 6));
  return {tape.gradient(x), tape.gradient(w), tape.gradient(gamma)};
}

TEST(BatchNormGradient, ProductsMakeOfItWhatTheyMakeOfTheDenseOne) {
  const std::vector<Case> cases{{.name = "conv", .x = {60, 20, 19, 5}, .w = {16, 3, 3, 5}},
                                {.name = "conv with ReLU", .x = {3, 7, 6, 16}, .w = {20, 3, 3, 16}, .relu = true},
                                {.name = "depthwise", .x = {60, 14, 14, 32}, .w = {32, 3, 3, 1}, .groups = 32},
                                {.name = "linear", .x = {2500, 20}, .w = {50, 20}}};
  for (const Case& c : cases) {
    for (const DType dtype : {DType::F32, DType::BF16, DType::F16}) {
      for (const bool training : {true, false}) {
        const auto lazy = gradients(c, dtype, training, false), dense = gradients(c, dtype, training, true);
        for (std::size_t i = 0; i < lazy.size(); ++i) {
          ASSERT_EQ(lazy[i].dtype(), dense[i].dtype());
          EXPECT_EQ(std::memcmp(lazy[i].raw(), dense[i].raw(), lazy[i].bytes()), 0)
              << c.name << " in " << dtype << (training ? ", training" : "") << ": gradient " << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace detent::autograd::batch_norm_gradient_test
