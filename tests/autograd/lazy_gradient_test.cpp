// A gradient may be an object of any class: who knows the class gets it as it is, everybody else the tensor.
#include "detent/autograd/lazy_gradient.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "detent/autograd/ops.h"
#include "tests/error_of.h"

namespace detent::autograd::lazy_gradient_test {
namespace {

using testing::ElementsAre;

/// `value` at one element of [3], 0 at the others.
struct OneHotGradient final : LazyGradient {
  OneHotGradient(std::int64_t at, double v, int* count, Tensor like = Tensor::zeros({3}, DType::F64))
      : index(at), value(v), made(count), zeros(std::move(like)) {}
  std::int64_t index;
  double value;
  int* made;  ///< counts the tensors
  Tensor zeros;
  Tensor dense(Arena* arena) const override {
    ++*made;
    Tensor tensor = zeros.clone(arena);
    if (tensor.dtype() == DType::F64) {
      tensor.data<double>()[static_cast<std::size_t>(index)] = value;
    }
    return tensor;
  }
};

/// Another class, which nobody here gives.
struct OtherGradient final : LazyGradient {
  Tensor dense(Arena* /*arena*/) const override { return {}; }
};

/// y = x[index], of which the gradient is an object.
Variable pick(const Variable& x, std::int64_t index, int* made) {
  Tensor y = Tensor::from<double>({x.value().data<double>()[static_cast<std::size_t>(index)]}, {1});
  return x.tape().record("pick", std::move(y), {x}, [index, made](Backward& bw) {
    bw.grad(0, [&] { return std::make_unique<OneHotGradient>(index, bw.dy().item(), made); });
  });
}

/// y = 2 x, by an op that knows the class: it hands on an object where it gets one.
Variable twice(const Variable& x, bool* was_lazy) {
  return x.tape().record("twice", x.value(), {x}, [was_lazy](Backward& bw) {
    EXPECT_EQ(bw.lazy_dy<OtherGradient>(), nullptr);
    const auto* const one = bw.lazy_dy<OneHotGradient>();
    *was_lazy = one != nullptr;
    if (one != nullptr) {
      bw.grad(0, [&] { return std::make_unique<OneHotGradient>(one->index, 2 * one->value, one->made); });
    } else {
      bw.grad(0, [&] {
        Tensor dx = bw.dy().clone(bw.arena());
        for (double& v : dx.data<double>()) {
          v *= 2;
        }
        return dx;
      });
    }
  });
}

class LazyGradientTest : public testing::Test {
 protected:
  Tape tape;
  Variable x = tape.variable(Tensor::from<double>({1, 2, 3}, {3}));
  int made = 0;
  bool was_lazy = false;
};

TEST_F(LazyGradientTest, IsHandedOnByThoseWhoKnowIts) {
  bool was_lazy_too = false;
  tape.backward(pick(twice(twice(x, &was_lazy), &was_lazy_too), 1, &made), Tensor::from<double>({5}, {1}));
  EXPECT_TRUE(was_lazy);
  EXPECT_TRUE(was_lazy_too);
  EXPECT_THAT(tape.gradient(x).data<double>(), ElementsAre(0, 20, 0));
  EXPECT_EQ(made, 1) << "for the leaf alone";
}

TEST_F(LazyGradientTest, IsATensorForAllOthers) {
  tape.backward(pick(scale(x, 3.0), 2, &made));
  EXPECT_THAT(tape.gradient(x).data<double>(), ElementsAre(0, 0, 3));
  EXPECT_EQ(made, 1);
}

TEST_F(LazyGradientTest, OfAnotherUserIsAdded) {
  for (const bool pick_first : {false, true}) {
    Tape both;
    const Variable leaf = both.variable(x.value());
    const Variable y = twice(leaf, &was_lazy);
    const Variable early = pick_first ? pick(y, 0, &made) : sum(y);
    const Variable late = pick_first ? sum(y) : pick(y, 0, &made);
    both.backward(add(reshape(early, {1}), reshape(late, {1})));
    EXPECT_FALSE(was_lazy) << "it is not the whole gradient";
    EXPECT_THAT(both.gradient(leaf).data<double>(), ElementsAre(4, 2, 2)) << "pick first: " << pick_first;
  }
}

TEST_F(LazyGradientTest, SeveralAreSummed) {
  const Variable y = twice(x, &was_lazy);
  tape.backward(add(add(pick(y, 0, &made), pick(y, 1, &made)), pick(y, 1, &made)));
  EXPECT_FALSE(was_lazy);
  EXPECT_THAT(tape.gradient(x).data<double>(), ElementsAre(2, 4, 0));
  EXPECT_EQ(made, 3);
}

TEST_F(LazyGradientTest, IsAddedToAParametersGradient) {
  Tensor gradient = Tensor::from<double>({1, 1, 1}, {3});
  tape.backward(pick(tape.parameter(x.value(), &gradient), 1, &made));
  EXPECT_THAT(gradient.data<double>(), ElementsAre(1, 2, 1));
}

TEST_F(LazyGradientTest, IsNotAskedForWhereNobodyWantsIt) {
  bool asked = false;
  const Variable y =
      tape.record("ask", Tensor::zeros({1}, DType::F64), {tape.constant(x.value()), x}, [&asked](Backward& bw) {
        bw.grad(0, [&] {
          asked = true;
          return std::make_unique<OtherGradient>();
        });
        bw.grad(1, [&] { return Tensor::zeros({3}, DType::F64); });
      });
  tape.backward(y);
  EXPECT_FALSE(asked);
}

TEST_F(LazyGradientTest, OfAWrongShapeOrTypeNamesItsOp) {
  const std::vector<std::pair<Tensor, std::string>> cases{
      {Tensor::zeros({4}, DType::F64), "expected shape [3], got [4]"},
      {Tensor::zeros({3}, DType::F32), "f32 does not fit a value of type f64"}};
  for (const auto& [wrong, message] : cases) {
    for (const bool of_leaf : {false, true}) {
      Tape other;
      const Variable leaf = other.variable(x.value());
      const Variable y = of_leaf ? leaf : scale(leaf, 1.0);
      const Variable bad = other.record("bad", Tensor::zeros({1}, DType::F64), {y}, [this, like = wrong](Backward& bw) {
        bw.grad(0, [&] { return std::make_unique<OneHotGradient>(0, 1.0, &made, like); });
      });
      EXPECT_EQ(error_of([&] { other.backward(bad); }), "bad: gradient of input 0: " + message);
    }
  }
}

}  // namespace
}  // namespace detent::autograd::lazy_gradient_test
