// What the tape itself promises: sums over shared values, misuse, inference, types of gradients, memory that is reused.
#include "detent/autograd/tape.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "detent/autograd/ops.h"
#include "tests/error_of.h"

namespace detent::autograd::tape_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Tensor numbers(const std::vector<double>& values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())});
}

TEST(Tape, AValueUsedTwiceGetsBothGradients) {
  Tape tape;
  const Variable x = tape.variable(numbers({3, -1}));
  tape.backward(sum(add(x, x)));
  EXPECT_THAT(tape.gradient(x).data<double>(), ElementsAre(2, 2));
}

TEST(Tape, SumsOverAllPathsOfADiamond) {
  // y = (2x) * (x + x^2) = 2x^2 + 2x^3  =>  dy/dx = 4x + 6x^2
  Tape tape;
  const Variable x = tape.variable(numbers({3, -1, 0.5}));
  const Variable left = scale(x, 2.0), right = add(x, mul(x, x));
  tape.backward(sum(mul(left, right)));
  EXPECT_THAT(tape.gradient(x).data<double>(), ElementsAre(66, 2, 3.5));
}

TEST(Tape, AGradientThatWasPassedOnTwiceIsNotSummedInPlace) {
  // add passes one gradient to both of its inputs; a gets more of it from elsewhere, b must not see that.
  Tape tape;
  const Variable a = tape.variable(numbers({1, 1})), b = tape.variable(numbers({1, 1}));
  const Variable early = scale(a, 10.0);
  const Variable seed_holder = add(reshape(a, {2, 1}), reshape(b, {2, 1}));
  const Tensor seed = Tensor::from<double>({1, 2}, {2, 1});
  tape.backward(add(seed_holder, reshape(early, {2, 1})), seed);
  EXPECT_THAT(tape.gradient(a).data<double>(), ElementsAre(11, 22));
  EXPECT_THAT(tape.gradient(b).data<double>(), ElementsAre(1, 2));
  EXPECT_THAT(seed.data<double>(), ElementsAre(1, 2)) << "the caller's seed was changed";
}

TEST(Tape, ParametersCollectOverSteps) {
  const Tensor weight = numbers({2});
  Tensor gradient;
  for (int step = 1; step <= 3; ++step) {
    Tape tape;
    tape.backward(mul(tape.parameter(weight, &gradient), tape.constant(numbers({5}))));
    EXPECT_EQ(gradient.item(), 5.0 * step);
  }
}

TEST(Tape, SeedScalesEveryGradient) {
  Tape tape;
  const Variable x = tape.variable(numbers({1, 2}));
  tape.backward(sum(x), 65536.0);
  EXPECT_THAT(tape.gradient(x).data<double>(), ElementsAre(65536, 65536));
}

TEST(Tape, WhatTheLossDoesNotSeeGetsNoGradient) {
  Tape tape;
  const Variable x = tape.variable(numbers({1})), unused = tape.variable(numbers({1}));
  const Variable dead_end = scale(unused, 2.0);
  tape.backward(sum(x));
  EXPECT_FALSE(tape.gradient(unused).defined());
  EXPECT_TRUE(dead_end.needs_grad());
}

TEST(Tape, MisuseIsRefused) {
  Tape tape, other;
  const Variable x = tape.variable(numbers({1, 2})), foreign = other.variable(numbers({1, 2}));
  EXPECT_THAT(error_of([&] { add(x, foreign); }), HasSubstr("another tape"));
  EXPECT_THAT(error_of([&] { add(x, Variable()); }), HasSubstr("add"));
  EXPECT_THAT(error_of([&] { relu(Variable()); }), HasSubstr("default Variable"));
  EXPECT_THAT(error_of([&] { tape.backward(x); }), HasSubstr("one element"));
  EXPECT_THAT(error_of([&] { tape.backward(x, numbers({1, 2, 3})); }), HasSubstr("shape"));
  EXPECT_THAT(error_of([&] { tape.backward(tape.constant(numbers({1}))); }), HasSubstr("wants a gradient"));
  EXPECT_THAT(error_of([&] { tape.gradient(tape.constant(numbers({1}))); }), HasSubstr("wants none"));
}

TEST(Tape, RunsBackwardOnce) {
  Tape tape;
  const Variable loss = sum(tape.variable(numbers({1, 2})));
  tape.backward(loss);
  EXPECT_THAT(error_of([&] { tape.backward(loss); }), HasSubstr("already"));
}

TEST(Tape, GradientsOfAWrongShapeOrTypeAreRefused) {
  for (const auto& [gradient, text] :
       {std::pair{numbers({1}), "shape"}, {Tensor::zeros({2}, DType::F32), "f32 does not fit"}}) {
    Tape tape;
    const Variable x = tape.variable(numbers({1, 2}));
    const Variable y =
        tape.record("broken", x.value(), {x}, [g = gradient](Backward& bw) { bw.grad(0, [&] { return g; }); });
    EXPECT_THAT(error_of([&] { tape.backward(sum(y)); }), ::testing::AllOf(HasSubstr("broken"), HasSubstr(text)));
  }
}

TEST(Tape, InferenceRecordsNothing) {
  Tensor gradient;
  Tape tape(nullptr, Tape::Mode::Inference);
  const Variable x = tape.parameter(Tensor::zeros({2, 4, 4, 3}, DType::F32), &gradient);
  const Variable w = tape.parameter(Tensor::zeros({5, 3, 3, 3}, DType::F32), &gradient);
  const Variable y = max_pool2d(relu(conv2d(x, w, {})), {});
  EXPECT_EQ(y.shape(), (Shape{2, 1, 1, 5}));
  EXPECT_EQ(tape.size(), 0u);
  EXPECT_FALSE(y.needs_grad());
  EXPECT_THAT(error_of([&] { tape.backward(sum(y)); }), HasSubstr("wants a gradient"));
}

TEST(Tape, PoolingAndReshapingWorkOnCodes) {
  const auto map = std::make_shared<const QParams>(QParams::per_tensor({0.5F, 3}, unsigned_codes(8)));
  const Tensor codes = Tensor::from<std::uint8_t>({1, 9, 200, 3, 4, 5, 255, 0}, {1, 2, 4, 1}).with_qparams(map);
  for (const DType type : {DType::F32, DType::BF16}) {
    Tape tape;
    const Variable x = tape.variable(codes);
    const Variable y = flatten(max_pool2d(x, {}));
    EXPECT_EQ(y.shape(), (Shape{1, 2}));
    EXPECT_THAT(y.value().data<std::uint8_t>(), ElementsAre(9, 255));
    EXPECT_EQ(y.value().qparams(), map);
    tape.backward(y, Tensor::from<float>({1.5F, -2.0F}, {1, 2}).to(type));
    EXPECT_EQ(tape.gradient(x).dtype(), type) << "a gradient of codes keeps the type it came in";
    EXPECT_THAT(tape.gradient(x).to(DType::F32).data<float>(), ElementsAre(0, 1.5, 0, 0, 0, 0, -2, 0));
  }
}

TEST(Tape, NumbersGetGradientsOfTheirOwnTypeFromBf16) {
  Tape tape;
  const Variable x = tape.variable(Tensor::from<float>({1, 2}, {2}));
  const Variable y = add(relu(x), reshape(x, {2}));
  tape.backward(y, Tensor::from<float>({1.5F, -3.0F}, {2}).to(DType::BF16));
  EXPECT_THAT(tape.gradient(x).data<float>(), ElementsAre(3, -6));
}

TEST(Tape, ASecondStepReservesNoMoreMemory) {
  RandomStream random(5, "weights");
  const auto filled = [&](Shape shape) {
    Tensor t = Tensor::empty(std::move(shape), DType::F32);
    for (float& v : t.data<float>()) {
      v = random.uniform(-0.3F, 0.3F);
    }
    return t;
  };
  const Tensor images = filled({6, 8, 8, 2}), kernel = filled({4, 3, 3, 2}), bias = filled({4}),
               dense = filled({5, 36});
  const Tensor labels = Tensor::from<std::int32_t>({0, 1, 2, 3, 4, 0}, {6});
  Tensor mean = Tensor::zeros({4}, DType::F32), variance = Tensor::full({4}, DType::F32, 1);
  Arena arena;
  std::vector<std::size_t> reserved;
  std::vector<double> losses;
  for (int step = 0; step < 4; ++step) {
    Tensor dkernel, dbias, ddense;
    {
      Tape tape(&arena);
      Variable x = conv2d(tape.constant(images), tape.parameter(kernel, &dkernel), tape.parameter(bias, &dbias),
                          {.product = {.relu = true}});
      x = batch_norm(x, {}, {}, {mean, variance}, {.momentum = 0});
      x = dropout(flatten(max_pool2d(x, {})), 0.3, RandomStream(1, "dropout"));
      const Variable loss =
          cross_entropy(linear(x, tape.parameter(dense, &ddense), {}, {.dtype = DType::BF16}), labels, 0.1);
      tape.backward(loss);
      losses.push_back(loss.value().item());
    }
    reserved.push_back(arena.bytes_reserved());
  }
  EXPECT_THAT(reserved, ::testing::Each(reserved[0]));
  EXPECT_THAT(losses, ::testing::Each(losses[0])) << "what the arena held before reached a result";
  EXPECT_EQ(arena.bytes_in_use(), 0u);
}

}  // namespace
}  // namespace detent::autograd::tape_test
