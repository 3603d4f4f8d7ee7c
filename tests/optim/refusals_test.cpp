// What an optimizer, its scaler and its schedules refuse, before anything has changed.
#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "detent/optim/adam.h"
#include "detent/optim/grad_scaler.h"
#include "detent/optim/schedule.h"
#include "detent/optim/sgd.h"
#include "tests/error_of.h"
#include "tests/optim/golden.h"

namespace detent::optim::refusals_test {
namespace {

using testing::HasSubstr;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TestParameter ones(const std::string& name, std::int64_t size = 3) {
  return {name, Tensor::full({size}, DType::F32, 1.0), Tensor::full({size}, DType::F32, 1.0)};
}

std::vector<ParameterGroup> group_of(TestParameter& parameter) { return {{.parameters = {parameter.ref()}}}; }

void expect_untouched(const TestParameter& p, const Optimizer& optimizer, const std::string& what) {
  EXPECT_EQ(optimizer.steps(), 0) << what << ": a refused step must not count";
  for (std::size_t i = 0; i < p.value.data<float>().size(); ++i) {
    EXPECT_EQ(p.value.data<float>()[i], 1.0F) << what << ", element " << i;
  }
}

TEST(OptimizerRefuses, AStepWithoutAnyGradient) {
  TestParameter p = ones("fc.weight");
  p.gradient = Tensor();
  Adam optimizer(group_of(p));
  const std::string advice =
      "no parameter has a gradient: call backward first, or make the optimizer from the graph that is trained";
  EXPECT_THAT(error_of([&] { optimizer.step(0.1); }), HasSubstr(advice));
  expect_untouched(p, optimizer, "step");
  GradScaler scaler;
  EXPECT_THAT(error_of([&] { scaler.unscale(optimizer.parameters()); }), HasSubstr(advice));
  EXPECT_THAT(error_of([&] { scaler.step(optimizer, 0.1); }), HasSubstr(advice));
  EXPECT_THAT(error_of([&] { scaler.update(); }), HasSubstr("no gradient was unscaled"));
  EXPECT_EQ(scaler.state(), GradScaler().state());
}

TEST(OptimizerRefuses, LearningRatesThatAreNone) {
  TestParameter p = ones("fc.weight");
  Sgd optimizer(group_of(p));
  for (const double rate : {kNaN, kInfinity, -kInfinity, -0.1, 1e39}) {
    EXPECT_THAT(error_of([&] { optimizer.step(rate); }), HasSubstr("learning rate: expected")) << "rate " << rate;
    expect_untouched(p, optimizer, "rate " + std::to_string(rate));
  }
  optimizer.step(0.0);
  EXPECT_EQ(optimizer.steps(), 1) << "0 is a rate: a warm-up may start there";
  GradScaler scaler;
  EXPECT_THAT(error_of([&] { scaler.step(optimizer, kNaN); }), HasSubstr("learning rate"));
  EXPECT_TRUE(scaler.step(optimizer, 0.1)) << "a refused step may be taken again";
}

TEST(OptimizerRefuses, OneTensorTwice) {
  TestParameter p = ones("fc.weight");
  TestParameter alias{"tied.weight", p.value};
  ParameterRef again = p.ref();
  again.name = "again.weight";
  EXPECT_THAT(error_of([&] {
                Sgd optimizer({{.parameters = {p.ref(), again}}});
              }),
              HasSubstr("'again.weight' is the parameter 'fc.weight'"));
  EXPECT_THAT(error_of([&] {
                Sgd optimizer({{.parameters = {p.ref()}}, {.parameters = {alias.ref()}}});
              }),
              HasSubstr("'tied.weight' is the parameter 'fc.weight'"))
      << "other Parameter, same memory";
}

TEST(OptimizerRefuses, AValueOfAnotherShapeThanItWasMadeFor) {
  TestParameter p = ones("fc.weight");
  Adam optimizer(group_of(p));
  p.value = Tensor::full({1000}, DType::F32, 1.0);
  p.gradient = Tensor::full({1000}, DType::F32, 1.0);
  EXPECT_THAT(error_of([&] { optimizer.step(0.1); }),
              HasSubstr("fc.weight: its value has shape [1000], it had [3] when the optimizer was made"));
  expect_untouched(p, optimizer, "reshaped");
}

TEST(OptimizerRefuses, AStateWithNegativeCounts) {
  TestParameter p = ones("p");
  Adam optimizer(group_of(p));
  std::map<std::string, Tensor> state;
  for (const auto& [name, tensor] : optimizer.state()) {
    state[name] = tensor->clone();
  }
  state["steps"] = Tensor::from<std::int32_t>({1, -1}, {2});
  EXPECT_THAT(error_of([&] { optimizer.set_state(state); }), HasSubstr("steps: expected counts of at least 0, got -1"));
}

TEST(OptimizerRefuses, OptionsOutOfRange) {
  TestParameter p = ones("p");
  const auto sgd = [&](Sgd::Options options) { return error_of([&] { Sgd optimizer(group_of(p), options); }); };
  const auto adam = [&](Adam::Options options) { return error_of([&] { Adam optimizer(group_of(p), options); }); };
  for (const double bad : {kNaN, kInfinity, -0.5}) {
    EXPECT_THAT(sgd({.momentum = bad}), HasSubstr("sgd: momentum")) << bad;
    EXPECT_THAT(adam({.beta1 = bad}), HasSubstr("adam: expected 0 <= beta")) << bad;
    EXPECT_THAT(adam({.beta2 = bad}), HasSubstr("adam: expected 0 <= beta")) << bad;
    EXPECT_THAT(adam({.epsilon = bad}), HasSubstr("adam: epsilon")) << bad;
    EXPECT_THAT(error_of([&] { Sgd optimizer({{.parameters = {p.ref()}, .weight_decay = bad}}); }),
                HasSubstr("weight decay"))
        << bad;
    EXPECT_THAT(error_of([&] { Sgd optimizer({{.parameters = {p.ref()}, .learning_rate_multiplier = bad}}); }),
                HasSubstr("learning rate multiplier"))
        << bad;
    EXPECT_THAT(error_of([&] { GradScaler scaler({.growth = static_cast<float>(bad)}); }), HasSubstr("growth")) << bad;
  }
  EXPECT_THAT(sgd({.momentum = 0.9, .dampening = kNaN}), HasSubstr("sgd: dampening"));
  EXPECT_THAT(adam({.epsilon = 0.0}), HasSubstr("adam: epsilon")) << "0 / 0 where a gradient is 0";
  EXPECT_THAT(adam({.epsilon = 1e-60}), HasSubstr("adam: epsilon")) << "0 in f32";
  EXPECT_THAT(error_of([&] { GradScaler scaler({.initial_scale = 1e-45F}); }), HasSubstr("scale"))
      << "its inverse is infinite";
}

TEST(ClipGradNorm, LeavesGradientsThatAreNotFinite) {
  for (const double bad : {kNaN, kInfinity}) {
    TestParameter p = ones("p");
    p.gradient.data<float>()[1] = static_cast<float>(bad);
    const std::vector<ParameterRef> refs{p.ref()};
    EXPECT_FALSE(std::isfinite(clip_grad_norm(refs, 0.5))) << bad;
    EXPECT_EQ(p.gradient.data<float>()[0], 1.0F) << bad;
    EXPECT_EQ(p.gradient.data<float>()[2], 1.0F) << bad;
    EXPECT_THROW(clip_grad_norm(refs, kNaN), Error);
  }
}

TEST(GradScaler, GrowsFromAnyCountThatIsEnough) {
  TestParameter p = ones("p");
  Sgd optimizer(group_of(p));
  GradScaler scaler({.growth_interval = 3});
  scaler.set_state({.scale = 4.0F, .finite_steps = 7});
  scaler.step(optimizer, 0.0);
  scaler.update();
  EXPECT_EQ(scaler.scale(), 8.0F);
}

TEST(Schedule, RefusesWhatGivesNoLearningRate) {
  const auto error = [](const Schedule& schedule) { return error_of([&] { learning_rate(schedule, 3, 10); }); };
  for (const double bad : {kNaN, kInfinity, -1.0}) {
    EXPECT_THAT(error({.base = bad}), HasSubstr("schedule: ")) << bad;
    EXPECT_THAT(error({.shape = StepRate{.gamma = bad}}), HasSubstr("schedule: ")) << bad;
    EXPECT_THAT(error({.shape = CosineRate{.floor = bad}}), HasSubstr("schedule: ")) << bad;
    EXPECT_THAT(error({.shape = OneCycleRate{.rise = bad}}), HasSubstr("schedule: ")) << bad;
    EXPECT_THAT(error({.shape = OneCycleRate{.div = bad}}), HasSubstr("schedule: ")) << bad;
    EXPECT_THAT(error({.shape = OneCycleRate{.final_div = bad}}), HasSubstr("schedule: ")) << bad;
    EXPECT_THAT(error({.warmup = {.steps = 5, .start = bad}}), HasSubstr("schedule: ")) << bad;
  }
  EXPECT_THAT(error({.base = 1e300, .shape = StepRate{.gamma = 1e300}}), HasSubstr("of step 3"))
      << "the product overflows";
  const std::int64_t largest = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(learning_rate({.base = 0.5, .shape = StepRate{.period = largest}, .warmup = {.steps = 0}}, 3, largest),
            0.5);
  EXPECT_EQ(learning_rate({.base = 3.0, .warmup = {.steps = largest}}, 0, 1), 1.0);
}

}  // namespace
}  // namespace detent::optim::refusals_test
