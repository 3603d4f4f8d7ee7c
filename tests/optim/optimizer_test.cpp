#include "detent/optim/optimizer.h"

#include <gmock/gmock.h>

#include <cmath>
#include <memory>

#include "detent/core/philox.h"
#include "detent/optim/adam.h"
#include "detent/optim/sgd.h"
#include "tests/error_of.h"
#include "tests/optim/golden.h"

namespace detent::optim::optimizer_test {
namespace {

constexpr int kSize = 7;

using Make = std::function<std::unique_ptr<Optimizer>(std::vector<ParameterGroup>)>;
struct Row {
  std::string name;
  double weight_decay;
  Make make;
  friend void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }
};

template <typename O>
Make with(typename O::Options options) {
  return [options](std::vector<ParameterGroup> groups) { return std::make_unique<O>(std::move(groups), options); };
}

const std::vector<Row>& rows() {
  static const std::vector<Row> rows = {
      {"sgd", 0.0, with<Sgd>({})},
      {"sgd_decay", 0.1, with<Sgd>({})},
      {"sgd_momentum", 0.0, with<Sgd>({.momentum = 0.9})},
      {"sgd_momentum_decay", 0.1, with<Sgd>({.momentum = 0.9})},
      {"sgd_dampening", 0.0, with<Sgd>({.momentum = 0.9, .dampening = 0.5})},
      {"sgd_nesterov", 0.0, with<Sgd>({.momentum = 0.9, .nesterov = true})},
      {"sgd_nesterov_decay", 0.1, with<Sgd>({.momentum = 0.9, .nesterov = true})},
      {"adam", 0.0, with<Adam>({})},
      {"adam_decay", 0.1, with<Adam>({})},
      {"adam_betas", 0.0, with<Adam>({.beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-3})},
      {"adamw", 0.01, with<AdamW>({})},
      {"adamw_strong", 0.5, with<AdamW>({})},
  };
  return rows;
}

double golden_rate(int step) { return step < 6 ? 0.05 : 0.02; }

std::vector<ParameterGroup> one_group(TestParameter& parameter, double weight_decay = 0.0) {
  return {{.parameters = {parameter.ref()}, .weight_decay = weight_decay}};
}

class Trajectory : public testing::TestWithParam<Row> {};

TEST_P(Trajectory, IsPyTorchs) {
  const auto golden = read_golden("optimizers").at(GetParam().name);
  TestParameter p{"p", golden_tensor(kSize, golden_start)};
  const auto optimizer = GetParam().make(one_group(p, GetParam().weight_decay));
  for (int step = 0; step < static_cast<int>(golden.size()); ++step) {
    p.gradient = golden_tensor(kSize, [&](int i) { return golden_gradient(step, i); });
    optimizer->step(golden_rate(step));
    for (int i = 0; i < kSize; ++i) {
      const double expected = golden[static_cast<std::size_t>(step)][static_cast<std::size_t>(i) + 1];
      EXPECT_NEAR(p.value.data<float>()[static_cast<std::size_t>(i)], expected, 1e-6 * std::abs(expected) + 1e-7)
          << GetParam().name << ", step " << step << ", element " << i;
    }
  }
  EXPECT_EQ(optimizer->steps(), static_cast<std::int64_t>(golden.size()));
}

// Elements go through vector loops, their remainders and several slices: each must be what it is alone.
TEST_P(Trajectory, OfAnElementDoesNotDependOnItsPlace) {
  constexpr int kMany = 100003;
  TestParameter small{"small", golden_tensor(kSize, golden_start)};
  TestParameter large{"large", golden_tensor(kMany, [](int i) { return golden_start(i % kSize); })};
  TestParameter odd{"odd", golden_tensor(1, golden_start)};
  const auto alone = GetParam().make(one_group(small, GetParam().weight_decay));
  const auto all = GetParam().make({{.parameters = {odd.ref(), large.ref()}, .weight_decay = GetParam().weight_decay}});
  for (int step = 0; step < 3; ++step) {
    const auto gradient = [&](int i) { return golden_gradient(step, i % kSize); };
    small.gradient = golden_tensor(kSize, gradient);
    large.gradient = golden_tensor(kMany, gradient);
    odd.gradient = golden_tensor(1, gradient);
    alone->step(0.05);
    ThreadPool(2).run([&] { all->step(0.05); });
  }
  const auto expected = small.value.data<float>();
  for (std::size_t i = 0; i < kMany; ++i) {
    ASSERT_EQ(large.value.data<float>()[i], expected[i % kSize]) << GetParam().name << ", element " << i;
  }
  EXPECT_EQ(odd.value.data<float>()[0], expected[0]);
}

TEST_P(Trajectory, GoesOnFromSavedState) {
  const auto run = [&](TestParameter& p, Optimizer& optimizer, int from, int to) {
    for (int step = from; step < to; ++step) {
      p.gradient = golden_tensor(kSize, [&](int i) { return golden_gradient(step, i); });
      optimizer.step(golden_rate(step));
    }
  };
  TestParameter through{"p", golden_tensor(kSize, golden_start)};
  const auto whole = GetParam().make(one_group(through, GetParam().weight_decay));
  run(through, *whole, 0, 5);
  TestParameter resumed{"p", through.value.clone()};
  const auto second = GetParam().make(one_group(resumed, GetParam().weight_decay));
  std::map<std::string, Tensor> saved;
  for (const auto& [name, tensor] : whole->state()) {
    saved[name] = tensor->clone();
  }
  second->set_state(saved);
  run(through, *whole, 5, 12);
  run(resumed, *second, 5, 12);
  EXPECT_EQ(second->steps(), 12);
  for (std::size_t i = 0; i < kSize; ++i) {
    EXPECT_EQ(resumed.value.data<float>()[i], through.value.data<float>()[i]) << GetParam().name << ", element " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Trajectory, testing::ValuesIn(rows()),
                         [](const auto& parameter) { return parameter.param.name; });

TEST(Optimizer, LeavesParametersWithoutGradientAlone) {
  TestParameter with_gradient{"a", Tensor::full({3}, DType::F32, 1.0)};
  TestParameter without{"b", Tensor::full({3}, DType::F32, 1.0)};
  AdamW optimizer({{.parameters = {with_gradient.ref(), without.ref()}, .weight_decay = 0.1}});
  with_gradient.gradient = Tensor::full({3}, DType::F32, 1.0);
  optimizer.step(0.1);
  EXPECT_EQ(without.value.data<float>()[0], 1.0F);
  EXPECT_NE(with_gradient.value.data<float>()[0], 1.0F);
  // Its own first step comes when its gradient does: the same as the other's first.
  const float after_first = with_gradient.value.data<float>()[0];
  with_gradient.gradient = Tensor();
  without.gradient = Tensor::full({3}, DType::F32, 1.0);
  optimizer.step(0.1);
  EXPECT_EQ(without.value.data<float>()[0], after_first);
  EXPECT_EQ(with_gradient.value.data<float>()[0], after_first);
}

TEST(Optimizer, DecaysOnlyWhatSaysSoAndScalesTheRateOfAGroup) {
  TestParameter weight{"weight", Tensor::full({1}, DType::F32, 2.0), Tensor::zeros({1}, DType::F32)};
  TestParameter bias{"bias", Tensor::full({1}, DType::F32, 2.0), Tensor::zeros({1}, DType::F32), false};
  auto groups = groups_by_decay({weight.ref(), bias.ref()}, 0.5);
  Sgd(groups).step(0.1);
  EXPECT_EQ(weight.value.data<float>()[0], 2.0F - 0.1F * (0.5F * 2.0F));
  EXPECT_EQ(bias.value.data<float>()[0], 2.0F);

  bias.gradient = Tensor::full({1}, DType::F32, 1.0);
  groups[1].learning_rate_multiplier = 4.0;
  Sgd(groups).step(0.25);
  EXPECT_EQ(bias.value.data<float>()[0], 1.0F);
}

TEST(Optimizer, KeepsTheOwnersOfItsParametersAlive) {
  auto owner = std::make_shared<TestParameter>(TestParameter{.name = "fc.weight",
                                                             .value = Tensor::full({2}, DType::F32, 1.0),
                                                             .gradient = Tensor::full({2}, DType::F32, 1.0)});
  const std::weak_ptr<TestParameter> watched = owner;
  {
    ParameterRef lent = owner->ref();
    lent.owner = std::move(owner);
    Sgd optimizer(groups_by_decay({std::move(lent)}, 0.0));
    ASSERT_FALSE(watched.expired());
    optimizer.step(0.5);
    EXPECT_THAT(watched.lock()->value.data<float>(), testing::ElementsAre(0.5F, 0.5F));
  }
  EXPECT_TRUE(watched.expired());
}

TEST(Optimizer, DoesNotChangeGradients) {
  TestParameter p{"p", golden_tensor(kSize, golden_start)};
  p.gradient = golden_tensor(kSize, [](int i) { return golden_gradient(1, i); });
  Sgd optimizer(one_group(p, 0.1), {.momentum = 0.9, .nesterov = true});
  optimizer.step(0.1);
  for (int i = 0; i < kSize; ++i) {
    EXPECT_EQ(p.gradient.data<float>()[static_cast<std::size_t>(i)], golden_gradient(1, i)) << "element " << i;
  }
  optimizer.clear_gradients();
  EXPECT_FALSE(p.gradient.defined());
}

TEST(Optimizer, RefusesWhatDoesNotFit) {
  using testing::HasSubstr;
  TestParameter p{"fc.weight", Tensor::full({3}, DType::F32, 1.0)};
  TestParameter none{"fc.bias", Tensor()};
  EXPECT_THAT(error_of([&] { Sgd optimizer(one_group(none)); }), HasSubstr("fc.bias has no value"));
  EXPECT_THAT(error_of([&] { Sgd optimizer({{.parameters = {p.ref(), p.ref()}}}); }), HasSubstr("named twice"));
  EXPECT_THAT(error_of([&] { Sgd optimizer(one_group(p), {.nesterov = true}); }), HasSubstr("nesterov"));
  EXPECT_THAT(error_of([&] { Adam optimizer(one_group(p), {.beta1 = 1.0}); }), HasSubstr("beta"));
  Adam optimizer(one_group(p));
  p.gradient = Tensor::zeros({4}, DType::F32);
  EXPECT_THAT(error_of([&] { optimizer.step(0.1); }), HasSubstr("fc.weight: its gradient has shape [4], expected [3]"));
  p.gradient = Tensor::zeros({3}, DType::BF16);
  EXPECT_THAT(error_of([&] { optimizer.step(0.1); }), HasSubstr("expected an f32 gradient, got bf16"));
  EXPECT_EQ(optimizer.steps(), 0) << "a refused step must not count";
  EXPECT_THAT(error_of([&] { optimizer.set_state({}); }), HasSubstr("no tensor 'steps'"));
  std::map<std::string, Tensor> state;
  for (const auto& [name, tensor] : optimizer.state()) {
    state[name] = *tensor;
  }
  state["mean/fc.weight"] = Tensor::zeros({2}, DType::F32);
  EXPECT_THAT(error_of([&] { optimizer.set_state(state); }),
              HasSubstr("mean/fc.weight: expected f32 [3], got f32 [2]"));
}

TEST(ClipGradNorm, IsPyTorchs) {
  for (const auto& [limit, lines] : read_golden("clip_grad_norm")) {
    std::vector<TestParameter> parameters{{"p", Tensor::zeros({kSize}, DType::F32)},
                                          {"q", Tensor::zeros({kSize}, DType::F32)},
                                          {"without", Tensor::zeros({kSize}, DType::F32)}};
    for (int p = 0; p < 2; ++p) {
      parameters[static_cast<std::size_t>(p)].gradient =
          golden_tensor(kSize, [&](int i) { return golden_gradient(p + 1, i); });
    }
    const std::vector<ParameterRef> refs{parameters[0].ref(), parameters[1].ref(), parameters[2].ref()};
    const double norm = clip_grad_norm(refs, std::stod(limit));
    EXPECT_NEAR(norm, lines[0][0], 1e-6) << "limit " << limit;
    for (std::size_t i = 0; i < 2 * kSize; ++i) {
      const double expected = lines[0][i + 1];
      EXPECT_NEAR(parameters[i / kSize].gradient.data<float>()[i % kSize], expected, 1e-6 * std::abs(expected))
          << "limit " << limit << ", gradient " << i;
    }
  }
}

TEST(ClipGradNorm, SumsInDoubleAndIsTheSameOnAnyNumberOfThreads) {
  constexpr std::int64_t kMany = 1000003;
  TestParameter p{"p", Tensor::zeros({kMany}, DType::F32), Tensor::zeros({kMany}, DType::F32)};
  RandomStream random(7, "clip");
  double expected = 0.0;
  for (float& g : p.gradient.data<float>()) {
    g = random.normal();
    expected += static_cast<double>(g) * static_cast<double>(g);
  }
  const std::vector<ParameterRef> refs{p.ref()};
  const Tensor gradient = p.gradient.clone();
  double norms[2] = {};
  Tensor clipped[2];
  for (int threads = 1; threads <= 2; ++threads) {
    p.gradient = gradient.clone();
    ThreadPool(threads).run([&] { norms[threads - 1] = clip_grad_norm(refs, 1.0); });
    clipped[threads - 1] = p.gradient;
  }
  EXPECT_NEAR(norms[0], std::sqrt(expected), 1e-9 * std::sqrt(expected));
  EXPECT_EQ(norms[0], norms[1]);
  EXPECT_EQ(std::memcmp(clipped[0].raw(), clipped[1].raw(), clipped[0].bytes()), 0);
  EXPECT_THROW(clip_grad_norm(refs, 0.0), Error);
}

}  // namespace
}  // namespace detent::optim::optimizer_test
