#include "detent/optim/grad_scaler.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "detent/optim/sgd.h"
#include "tests/optim/golden.h"

namespace detent::optim::grad_scaler_test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Training {
  TestParameter p{"p", Tensor::zeros({2}, DType::F32)};
  Sgd optimizer{{{.parameters = {p.ref()}}}};
  void set_gradient(float a, float b) { p.gradient = Tensor::from<float>({a, b}, {2}); }
};

// One row a step: whether its gradients are finite, and the state after it. Interval 3, start 16.
TEST(GradScaler, SkipsGrowsAndBacksOff) {
  struct Step {
    bool is_finite;
    float scale;
    std::int64_t finite_steps, skipped_steps;
  };
  const std::vector<Step> steps = {
      {true, 16, 1, 0}, {true, 16, 2, 0}, {true, 32, 0, 0}, {true, 32, 1, 0}, {false, 16, 0, 1}, {true, 16, 1, 1},
      {true, 16, 2, 1}, {false, 8, 0, 2}, {false, 4, 0, 3}, {true, 4, 1, 3},  {true, 4, 2, 3},   {true, 8, 0, 3},
      {true, 8, 1, 3},  {true, 8, 2, 3},  {true, 16, 0, 3}, {false, 8, 0, 4}, {true, 8, 1, 4},
  };
  Training run;
  GradScaler scaler({.initial_scale = 16.0F, .growth_interval = 3});
  double moved = 0.0;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const float scale = scaler.scale();
    run.set_gradient(3.0F * scale, steps[i].is_finite ? -5.0F * scale : (i % 2 == 0 ? kInfinity : std::nanf("")));
    EXPECT_EQ(scaler.step(run.optimizer, 1.0), steps[i].is_finite) << "step " << i;
    scaler.update();
    moved += steps[i].is_finite ? 3.0 : 0.0;
    EXPECT_EQ(scaler.state().scale, steps[i].scale) << "step " << i;
    EXPECT_EQ(scaler.state().finite_steps, steps[i].finite_steps) << "step " << i;
    EXPECT_EQ(scaler.state().skipped_steps, steps[i].skipped_steps) << "step " << i;
    EXPECT_EQ(run.p.value.data<float>()[0], static_cast<float>(-moved)) << "step " << i;
  }
}

TEST(GradScaler, StartsAsPyTorchs) {
  EXPECT_EQ(GradScaler().state(), (GradScaler::State{65536.0F, 0, 0}));
  Training run;
  GradScaler scaler;
  for (int step = 0; step < 2000; ++step) {
    EXPECT_EQ(scaler.scale(), 65536.0F) << "step " << step;
    run.set_gradient(1.0F, 1.0F);
    scaler.step(run.optimizer, 0.0);
    scaler.update();
  }
  EXPECT_EQ(scaler.scale(), 131072.0F);
}

TEST(GradScaler, StopsGrowingBeforeInfinityAndFallingBeforeZero) {
  Training run;
  GradScaler large({.initial_scale = 2e38F, .growth_interval = 1});
  run.set_gradient(1.0F, 1.0F);
  large.step(run.optimizer, 0.0);
  large.update();
  EXPECT_EQ(large.state(), (GradScaler::State{2e38F, 0, 0}));
  GradScaler small({.initial_scale = std::numeric_limits<float>::min()});
  run.set_gradient(kInfinity, 1.0F);
  small.step(run.optimizer, 0.0);
  small.update();
  EXPECT_EQ(small.scale(), std::numeric_limits<float>::min());
}

TEST(GradScaler, UnscalesOnceAndLetsGradientsBeClipped) {
  Training run;
  GradScaler scaler({.initial_scale = 4.0F});
  run.set_gradient(12.0F, 16.0F);
  const std::vector<ParameterRef> parameters{run.p.ref()};
  scaler.unscale(parameters);
  EXPECT_EQ(run.p.gradient.data<float>()[0], 3.0F);
  EXPECT_EQ(clip_grad_norm(parameters, 100.0), 5.0);
  EXPECT_THROW(scaler.unscale(parameters), Error);
  EXPECT_TRUE(scaler.step(run.optimizer, 1.0));
  EXPECT_EQ(run.p.value.data<float>()[1], -4.0F) << "step must not unscale again";
  EXPECT_THROW(scaler.step(run.optimizer, 1.0), Error);
  EXPECT_THROW(scaler.unscale(parameters), Error);
  scaler.update();
  EXPECT_THROW(scaler.update(), Error);
  scaler.unscale(parameters);
}

TEST(GradScaler, RefusesGradientsThatAreNotF32) {
  Training run;
  GradScaler scaler;
  run.p.gradient = Tensor::zeros({2}, DType::F16);
  EXPECT_THROW(scaler.unscale(run.optimizer.parameters()), Error);
  EXPECT_THROW(scaler.set_state({.scale = 0.0F}), Error);
  EXPECT_THROW(scaler.set_state({.scale = kInfinity}), Error);
  EXPECT_THROW(GradScaler({.growth = 1.0F}), Error);
}

TEST(GradScaler, FindsOneBadGradientAmongManyWhereverItIs) {
  constexpr std::int64_t kMany = 100003;
  TestParameter p{"p", Tensor::zeros({kMany}, DType::F32)};
  for (const std::size_t place : {std::size_t{0}, std::size_t{15}, std::size_t{40000}, std::size_t{kMany - 1}}) {
    for (const float bad : {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN()}) {
      Sgd optimizer({{.parameters = {p.ref()}}});
      GradScaler scaler;
      p.gradient = Tensor::full({kMany}, DType::F32, 1.0);
      p.gradient.data<float>()[place] = bad;
      EXPECT_FALSE(scaler.step(optimizer, 1.0)) << bad << " at " << place;
    }
  }
}

}  // namespace
}  // namespace detent::optim::grad_scaler_test
