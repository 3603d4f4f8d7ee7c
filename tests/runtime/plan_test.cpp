// Plans against the reference executor: equal codes of every operation and of random models, whatever the batch and the
// number of threads.

#include "detent/runtime/plan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "detent/core/threads/parallel.h"
#include "detent/kernels/codes/quantize.h"
#include "detent/runtime/reference.h"
#include "tests/error_of.h"
#include "tests/runtime/against_reference.h"
#include "tests/runtime/random_model.h"

namespace detent::runtime::plan_test {
namespace {

using test::everything;
using test::everything_in_float;
using test::expect_near;
using test::expect_reference;
using test::expect_same;
using test::inputs_of;
using test::ModelBuilder;
using test::random_inputs;
using test::run_plan;

class RandomModels : public testing::TestWithParam<int> {};

TEST_P(RandomModels, GiveTheCodesOfTheReference) {
  const auto seed = static_cast<std::uint64_t>(GetParam());
  const std::int64_t batches[] = {1, 3, 17, 40};
  expect_reference(everything(seed), batches[seed % 4], seed, 1e-4F);
  expect_reference(everything_in_float(seed), batches[(seed + 1) % 4], seed, 1e-4F);
}

/// Comparing codes says little where all of them are clamped.
TEST_P(RandomModels, UseTheirRanges) {
  const Model model = everything(static_cast<std::uint64_t>(GetParam()));
  const std::vector<Tensor> values = run_reference(model, inputs_of(model, 17, 5));
  for (ValueId value = 0; value < model.values(); ++value) {
    if (values[value].dtype() == DType::U8) {
      const auto codes = values[value].data<std::uint8_t>();
      EXPECT_GT(std::set(codes.begin(), codes.end()).size(), 8U) << model.name(value);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomModels, testing::Range(0, 8));

struct ProductCase {
  const char* name;
  Shape example;
  kernels::ConvShape shape;
};

/// Layers of every kind: with and without ReLU and bias, one scale or one a channel, by batches that tasks share, and
/// that they do not.
TEST(Plan, GivesTheCodesOfEveryKindOfProduct) {
  const ProductCase cases[] = {
      {"linear", {50}, {.o = 33}},
      {"linear of few", {3}, {.o = 1}},
      {"pointwise", {5, 4, 9}, {.o = 20}},
      {"convolution", {9, 8, 4}, {.o = 32, .kh = 3, .kw = 3}},
      {"strided", {9, 8, 5}, {.o = 17, .kh = 3, .kw = 2, .stride_h = 2, .stride_w = 3}},
      {"padded", {6, 7, 3}, {.o = 12, .kh = 5, .kw = 3, .padding = {2, 1}}},
      {"dilated", {9, 9, 2}, {.o = 8, .kh = 3, .kw = 3, .padding = 2, .dilation_h = 2, .dilation_w = 2}},
      {"dilated in height", {9, 9, 4}, {.o = 8, .kh = 3, .kw = 3, .dilation_h = 3}},
      {"grouped", {6, 6, 12}, {.o = 9, .kh = 3, .kw = 3, .groups = 3}},
      {"depthwise", {8, 8, 10}, {.o = 10, .kh = 3, .kw = 3, .padding = 1, .groups = 10}},
      {"the whole image", {4, 4, 8}, {.o = 16, .kh = 4, .kw = 4}},
  };
  std::uint64_t seed = 0;
  for (const ProductCase& c : cases) {
    for (const std::int64_t batch : {1, 3, 17, 40}) {
      SCOPED_TRACE(c.name);
      ++seed;
      ModelBuilder b(seed);
      b.conv(b.quantize(b.input(c.example)), c.shape, seed % 2 == 0, seed % 3 != 0, seed % 5 != 0);
      expect_reference(b.model, batch, seed);
      ModelBuilder g(seed);
      g.conv(g.quantize(g.input(c.example)), c.shape, seed % 2 == 0, seed % 3 != 0, true, 8, {}, seed % 2 == 0 ? 4 : 3);
      expect_reference(g.model, batch, seed);
      ModelBuilder f(seed);
      f.conv(f.input(c.example), c.shape, seed % 2 == 0, seed % 3 != 0);
      expect_reference(f.model, batch, seed, 1e-4F);
    }
  }
}

TEST(Plan, TakesSeveralInputs) {
  for (const std::int64_t batch : {1, 17}) {
    ModelBuilder b(3);
    const ValueId left = b.input({6, 5, 3});
    const ValueId right = b.input({12});
    const ValueId image = b.conv(b.quantize(left), {.o = 8, .kh = 3, .kw = 3}, true);
    const ValueId row = b.linear(b.quantize(right), 9, true);
    b.linear(b.concat({b.flatten(image), row}), 5);
    expect_reference(b.model, batch, 3);
    const std::vector<Tensor> inputs = inputs_of(b.model, batch, 1);
    Plan plan(b.model, batch);
    EXPECT_EQ(error_of([&] { plan.run(inputs[0]); }), "plan: expected 2 inputs, got 1");
    EXPECT_NE(error_of([&] {
                plan.run_pixels(Tensor::zeros({batch, 6, 5, 3}, DType::U8));
              }).find("one input"),
              std::string::npos);
  }
}

/// Half of the reals that its codes mean, and of reals half of them. Its memory is the arena's.
class Half : public CustomOp {
 public:
  std::string_view kind() const override { return "half"; }
  nlohmann::json options() const override { return nlohmann::json::object(); }
  Tensor run(std::span<const Tensor> inputs, const ValueType&, Arena* arena) const override {
    ++calls;
    Tensor y = Tensor::empty(inputs[0].shape(), DType::F32, arena);
    for (std::size_t i = 0; i < static_cast<std::size_t>(y.elements()); ++i) {
      const float x = inputs[0].qparams() ? dequantize(inputs[0].data<std::uint8_t>()[i], inputs[0].qparams()->tensor())
                                          : inputs[0].data<float>()[i];
      y.data<float>()[i] = x / 2;
    }
    return y;
  }
  mutable int calls = 0;
};

TEST(Plan, RunsCustomOperationsOnTheWholeBatch) {
  for (const std::int64_t batch : {1, 3, 17, 40}) {
    const auto half = std::make_shared<Half>();
    ModelBuilder b(4);
    const ValueId codes = b.conv(b.quantize(b.input({7, 6, 3})), {.o = 12, .kh = 3, .kw = 3}, true);
    const ValueId real = b.add(Custom{half}, {codes}, ModelBuilder::reals(b.type(codes).shape));
    const ValueId twice = b.add(Custom{half}, {b.max_pool(real)}, ModelBuilder::reals({2, 2, 12}));
    b.linear(b.flatten(b.conv(b.quantize(twice), {.o = 9, .kh = 2, .kw = 1})), 4);
    expect_reference(b.model, batch, 4);
    const std::vector<Tensor> inputs = inputs_of(b.model, batch, 1);
    Plan plan(b.model, batch);
    half->calls = 0;
    plan.run(inputs);
    EXPECT_EQ(half->calls, 2) << "batch " << batch;
  }
}

TEST(Plan, HandsItsInputOn) {
  ModelBuilder b(1);
  b.flatten(b.input({2, 3}));
  expect_reference(b.model, 3, 1);
  b.model.output = 0;
  expect_reference(b.model, 3, 1);
}

/// Made in time that grows with the number of nodes, not with its square, or this would take minutes.
TEST(Plan, OfManyNodes) {
  ModelBuilder b(1);
  ValueId x = b.quantize(b.input({8}));
  for (int i = 0; i < 20'000; ++i) {
    x = b.lookup(b.linear(x, 8), false);
  }
  EXPECT_EQ(Plan(b.model, 2).run(random_inputs({8}, 2, 1)).shape(), Shape({2, 8}));
}

TEST(Plan, ResultsDoNotDependOnThreads) {
  for (const Model& model : {everything(4), everything_in_float(4)}) {
    for (const std::int64_t batch : {1, 40}) {
      const std::vector<Tensor> inputs = inputs_of(model, batch, 3);
      const Tensor one = run_plan(model, inputs, 1);
      for (const int threads : {2, 3}) {
        expect_same(run_plan(model, inputs, threads), one, std::to_string(threads) + " threads");
      }
    }
  }
}

TEST(Plan, TwoOfOneModelRunSideBySide) {
  const Model model = everything(6);
  const std::vector<Tensor> inputs = inputs_of(model, 17, 3);
  const Tensor expected = run_plan(model, inputs);
  std::vector<Tensor> results(4);
  std::vector<std::thread> threads;
  for (Tensor& result : results) {
    threads.emplace_back([&] {
      Plan plan(model, 17);
      for (int i = 0; i < 5; ++i) {
        result = plan.run(inputs).clone();
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (const Tensor& result : results) {
    expect_same(result, expected, "side by side");
  }
}

TEST(Plan, PixelsAreTheRealsTheyMean) {
  ModelBuilder exact(2);  // the map of pixels themselves
  const ValueId x = exact.input({6, 5, 1});
  exact.add(
      Quantize{}, {x},
      {{6, 5, 1}, DType::U8, std::make_shared<const QParams>(QParams::per_tensor({1.0F / 255.0F, 0}, CodeRange()))});
  exact.conv(1, {.o = 4, .kh = 3, .kw = 3});
  ModelBuilder other(2);
  other.conv(other.quantize(other.input({6, 5, 1})), {.o = 4, .kh = 3, .kw = 3});
  ModelBuilder real(2);
  real.conv(real.input({6, 5, 1}), {.o = 4, .kh = 3, .kw = 3});
  for (const Model& model : {exact.model, other.model, real.model}) {
    Tensor pixels = Tensor::empty({9, 6, 5, 1}, DType::U8);
    Tensor reals = Tensor::empty({9, 6, 5, 1}, DType::F32);
    RandomStream random(1, "pixels");
    for (std::size_t i = 0; i < 9 * 30; ++i) {
      pixels.data<std::uint8_t>()[i] = static_cast<std::uint8_t>(random.index(256));
      reals.data<float>()[i] = static_cast<float>(pixels.data<std::uint8_t>()[i]) / 255.0F;
    }
    Plan plan(model, 9);
    const Tensor expected = plan.run(reals).clone();
    expect_same(plan.run_pixels(pixels), expected, "pixels");
    expect_same(plan.run(reals), expected, "reals again");
  }
}

/// Does something else meanwhile.
class Meanwhile : public CustomOp {
 public:
  std::string_view kind() const override { return "meanwhile"; }
  nlohmann::json options() const override { return nlohmann::json::object(); }
  Tensor run(std::span<const Tensor> inputs, const ValueType&, Arena*) const override {
    if (action) {
      action();
    }
    return is_wrong ? inputs[0].rows(0, 1) : inputs[0];
  }
  std::function<void()> action;
  bool is_wrong = false;
};

TEST(Plan, RefusesASecondThreadWhileItRuns) {
  const auto meanwhile = std::make_shared<Meanwhile>();
  ModelBuilder b(5);
  const ValueId x = b.input({6});
  b.linear(b.add(Custom{meanwhile}, {x}, b.type(x)), 3);
  const Tensor images = random_inputs({6}, 4, 1);
  const Tensor pixels = Tensor::zeros({4, 6}, DType::U8);
  Plan plan(b.model, 4);
  const Tensor expected = plan.run(images).clone();
  std::string of_run, of_pixels;
  meanwhile->action = [&] {
    std::thread([&] {
      of_run = error_of([&] { plan.run(images); });
      of_pixels = error_of([&] { plan.run_pixels(pixels); });
    }).join();
  };
  expect_same(plan.run(images), expected, "the first thread's result");
  EXPECT_NE(of_run.find("plan: it is run by two threads at once"), std::string::npos) << of_run;
  EXPECT_EQ(of_pixels, of_run);
  meanwhile->action = [] { fail("a module failed"); };
  EXPECT_EQ(error_of([&] { plan.run(images); }), "a module failed");
  meanwhile->action = {};
  expect_same(plan.run(images), expected, "after a failure");
  meanwhile->is_wrong = true;
  EXPECT_EQ(error_of([&] { plan.run(images); }), "plan: custom0: a meanwhile gave f32 [1, 6]; expected f32 [4, 6]");
}

TEST(Plan, RefusesWhatItCannotRun) {
  const Model model = everything(1);
  EXPECT_EQ(error_of([&] { Plan(model, 0); }), "plan: expected a batch of at least 1, got 0");
  Plan plan(model, 4);
  EXPECT_GT(plan.memory_bytes(), 0U);
  EXPECT_EQ(plan.batch(), 4);
  EXPECT_EQ(plan.model().nodes.size(), model.nodes.size());
  EXPECT_EQ(error_of([&] {
              plan.run(random_inputs({11, 13, 3}, 3, 1));
            }),
            "plan: input0: expected f32 [4, 11, 13, 3], got f32 [3, 11, 13, 3]");
  EXPECT_NE(error_of([&] {
              plan.run_pixels(random_inputs({11, 13, 3}, 4, 1));
            }).find("expected u8"),
            std::string::npos)
      << "reals as pixels";
  EXPECT_NE(error_of([&] { plan.value(0); }).find("keeps_values"), std::string::npos);
  EXPECT_EQ(plan.run(random_inputs({11, 13, 3}, 4, 1)).shape(), Shape({4, 10}));
  Model damaged = model;
  damaged.nodes[1].inputs = {99};
  EXPECT_NE(error_of([&] { Plan(damaged, 4); }).find("model: "), std::string::npos);
}

/// What packed_memory_of hands out is what runs compute with.
TEST(Plan, PackedMemoryIsThatOfItsNode) {
  const Model model = everything(2);
  const std::vector<Tensor> inputs = inputs_of(model, 3, 1);
  Plan untouched(model, 3, {.keeps_values = true});
  untouched.run(inputs);
  for (std::size_t node = 0; node < model.nodes.size(); ++node) {
    if (!std::holds_alternative<Product>(model.nodes[node].op)) {
      continue;
    }
    Plan plan(model, 3, {.keeps_values = true});
    const auto memory = plan.packed_memory_of(node);
    ASSERT_FALSE(memory.empty()) << model.nodes[node].name;
    for (const std::span<std::byte> part : memory) {
      std::ranges::fill(part, std::byte{1});
    }
    plan.run(inputs);
    const ValueId value = model.value_of(node);
    for (ValueId before = 0; before < value; ++before) {
      expect_same(plan.value(before), untouched.value(before), model.name(before));
    }
    EXPECT_NE(std::memcmp(plan.value(value).raw(), untouched.value(value).raw(), plan.value(value).bytes()), 0)
        << model.nodes[node].name;
  }
  Plan again(model, 3, {.keeps_values = true});
  again.run(inputs);
  expect_same(again.value(model.output), untouched.value(model.output), "another plan of the model");
}

}  // namespace
}  // namespace detent::runtime::plan_test
