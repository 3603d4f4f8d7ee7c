// A max-pool hands its gradient on as it knows it; whoever gets it must see what the dense gradient would have given.
#include "detent/autograd/pooled_gradient.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "detent/autograd/ops.h"

namespace detent::autograd::pooled_gradient_test {
namespace {

using ::testing::ElementsAre;

const Pool2dOptions kPool{.kernel_h = 2, .kernel_w = 2, .stride_h = 2, .stride_w = 2};

Tensor image(const std::vector<double>& values) { return Tensor::from(values, {1, 2, 4, 1}); }

const std::vector<double> kPixels{1, 5, 2, 2,  //
                                  3, 4, 7, 0};

TEST(PooledGradient, ALeafGetsItDense) {
  Tape tape;
  const Variable x = tape.variable(image(kPixels));
  tape.backward(max_pool2d(x, kPool), Tensor::from<double>({10, 20}, {1, 1, 2, 1}));
  EXPECT_THAT(tape.gradient(x).data<double>(), ElementsAre(0, 10, 0, 0, 0, 0, 20, 0));
}

TEST(PooledGradient, IsAddedToWhatElseFlowsIn) {
  for (const bool pool_first : {false, true}) {
    Tape tape;
    const Variable x = tape.variable(image(kPixels));
    const Variable twice = scale(x, 2.0);
    const Variable early = pool_first ? sum(max_pool2d(twice, kPool)) : sum(twice);
    const Variable late = pool_first ? sum(twice) : sum(max_pool2d(twice, kPool));
    tape.backward(add(early, late));
    EXPECT_THAT(tape.gradient(x).data<double>(), ElementsAre(2, 4, 2, 2, 2, 2, 4, 2)) << "pool first: " << pool_first;
  }
}

TEST(PooledGradient, TwoPoolsOfOneValueAreSummed) {
  Tape tape;
  const Variable x = tape.variable(image(kPixels));
  const Variable copy = scale(x, 1.0);
  tape.backward(add(sum(max_pool2d(copy, kPool)), sum(max_pool2d(copy, kPool))));
  EXPECT_THAT(tape.gradient(x).data<double>(), ElementsAre(0, 2, 0, 0, 0, 0, 2, 0));
}

/// Records the identity, as an op that looks for a pooled gradient first.
Variable identity(const Variable& x, bool* was_pooled) {
  return x.tape().record("identity", x.value(), {x}, [was_pooled](Backward& bw) {
    const auto* const pooled = bw.lazy_dy<PooledGradient>();
    *was_pooled = pooled != nullptr;
    if (pooled != nullptr) {
      EXPECT_THAT(pooled->dy.data<double>(), ElementsAre(1, 1));
      EXPECT_THAT(pooled->y.data<double>(), ElementsAre(5, 7));
      EXPECT_THAT(pooled->argmax.data<std::uint8_t>(), ElementsAre(1, 2));
    }
    bw.grad(0, [&] { return bw.dy(); });
    EXPECT_EQ(bw.lazy_dy<PooledGradient>(), nullptr) << "the gradient is dense from now on";
  });
}

TEST(PooledGradient, ReachesAnOpThatAsksForIt) {
  Tape tape;
  const Variable x = tape.variable(image(kPixels));
  bool was_pooled = false;
  tape.backward(sum(max_pool2d(identity(x, &was_pooled), kPool)));
  EXPECT_TRUE(was_pooled);
  EXPECT_THAT(tape.gradient(x).data<double>(), ElementsAre(0, 1, 0, 0, 0, 0, 1, 0));
}

TEST(PooledGradient, IsDenseWhereTheMaxPoolIsNotAlone) {
  Tape tape;
  const Variable x = tape.variable(image(kPixels));
  bool was_pooled = false;
  const Variable y = identity(x, &was_pooled);
  tape.backward(add(sum(max_pool2d(y, kPool)), sum(y)));
  EXPECT_FALSE(was_pooled);
  EXPECT_THAT(tape.gradient(x).data<double>(), ElementsAre(1, 2, 1, 1, 1, 1, 2, 1));
}

/// conv2d, max-pool and a sum with weights; `dense` puts an op between that wants its gradient dense.
struct Gradients {
  Tensor dx, dw, db;
  Gradients(DType dtype, bool relu, bool dense) {
    RandomStream random(5, "pooled gradient");
    const auto numbers = [&](Shape shape) {
      Tensor t = Tensor::empty(std::move(shape), DType::F32);
      for (float& v : t.data<float>()) {
        v = random.uniform(-1.0F, 1.0F);
      }
      return t;
    };
    Tape tape;
    const Variable x = tape.variable(numbers({19, 14, 14, 6})), w = tape.variable(numbers({16, 5, 5, 6})),
                   b = tape.variable(numbers({16}));
    Variable y = conv2d(x, w, b, {.product = {.dtype = dtype, .relu = relu}});
    if (dense) {
      y = reshape(y, y.shape());
    }
    y = max_pool2d(y, kPool);
    tape.backward(y, numbers(y.shape()));
    dx = tape.gradient(x), dw = tape.gradient(w), db = tape.gradient(b);
  }
};

void expect_near(const char* what, const Tensor& actual, const Tensor& expected, float tolerance) {
  ASSERT_EQ(actual.shape(), expected.shape()) << what;
  float largest = 0.0F;
  for (const float v : expected.data<float>()) {
    largest = std::max(largest, std::abs(v));
  }
  for (std::size_t i = 0; i < actual.data<float>().size(); ++i) {
    ASSERT_NEAR(actual.data<float>()[i], expected.data<float>()[i], tolerance * largest) << what << " at " << i;
  }
}

TEST(PooledGradient, GivesAProductTheGradientsOfTheDenseOne) {
  // In bf16 the dense gradient is rounded before the products, the pooled one is not.
  for (const auto& [dtype, tolerance] : {std::pair{DType::F32, 1e-5F}, {DType::F16, 2e-3F}, {DType::BF16, 8e-3F}}) {
    for (const bool relu : {false, true}) {
      SCOPED_TRACE(std::string(name_of(dtype)) + (relu ? " with ReLU" : ""));
      const Gradients pooled(dtype, relu, false), dense(dtype, relu, true);
      expect_near("dx", pooled.dx, dense.dx, tolerance);
      expect_near("dw", pooled.dw, dense.dw, tolerance);
      expect_near("db", pooled.db, dense.db, tolerance);
    }
  }
}

}  // namespace
}  // namespace detent::autograd::pooled_gradient_test
