// Models under others' rounding rules: with Detent's they are the plan's, and each operation follows its target's.

#include "detent/runtime/target_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/error_of.h"
#include "tests/runtime/against_reference.h"
#include "tests/runtime/random_model.h"

namespace detent::runtime::target_plan_test {
namespace {

using kernels::RoundingTarget;
using test::expect_same;
using test::inputs_of;
using test::ModelBuilder;
using testing::HasSubstr;

class RandomTargets : public testing::TestWithParam<int> {};

TEST_P(RandomTargets, DetentsAreThePlans) {
  const auto seed = static_cast<std::uint64_t>(GetParam());
  for (const Model& model : {test::everything(seed), test::everything_in_float(seed)}) {
    const std::int64_t batch = 1 + static_cast<std::int64_t>(seed % 3) * 9;
    const std::vector<Tensor> inputs = inputs_of(model, batch, seed);
    Plan plan(model, batch, {.keeps_values = true});
    plan.run(inputs);
    const std::vector<Tensor> values = TargetPlan(model, batch, RoundingTarget::Detent).run(inputs);
    ASSERT_EQ(values.size(), model.values());
    for (ValueId value = 0; value < values.size(); ++value) {
      if (model.is_integer()) {
        expect_same(values[value], plan.value(value), "seed " + std::to_string(seed) + ", " + model.name(value));
      } else {
        test::expect_near(values[value], plan.value(value), 1e-4F, model.name(value));
      }
    }
  }
}

TEST_P(RandomTargets, DoNotDependOnThreads) {
  const auto seed = static_cast<std::uint64_t>(GetParam());
  const Model model = test::everything(seed);
  const std::vector<Tensor> inputs = inputs_of(model, 20, seed);
  for (const auto& [name, target] : kernels::rounding_targets()) {
    const auto values_at = [&, target = target](int threads) {
      ThreadPool pool(threads);
      std::vector<Tensor> values;
      pool.run([&] {
        const TargetPlan plan(model, 20, target);
        for (const Tensor& value : plan.run(inputs)) {
          values.push_back(value.clone());
        }
      });
      return values;
    };
    const std::vector<Tensor> one = values_at(1), three = values_at(3);
    for (ValueId value = 0; value < one.size(); ++value) {
      expect_same(three[value], one[value], std::string(name) + ", " + model.name(value));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomTargets, testing::Range(0, 6));

TEST(TargetPlan, PadsAverages) {
  ModelBuilder b(2);
  b.pool(b.quantize(b.input({6, 5, 3})), PoolKind::Average, {.kh = 3, .kw = 2, .stride_h = 2, .padding = 1});
  const std::vector<Tensor> inputs = inputs_of(b.model, 3, 1);
  Plan plan(b.model, 3);
  expect_same(TargetPlan(b.model, 3, RoundingTarget::Detent).run(inputs).back(), plan.run(inputs), "averages");
}

std::vector<int> codes_of(const Tensor& value) {
  const auto codes = value.data<std::uint8_t>();
  return {codes.begin(), codes.end()};
}

/// The last value of a model of one operation behind a quantize.
std::vector<int> last_codes(const ModelBuilder& b, const Tensor& input, RoundingTarget target) {
  return codes_of(TargetPlan(b.model, input.shape()[0], target).run(std::span(&input, 1)).back());
}

TEST(TargetPlan, RoundsEachValueByTheTarget) {
  ModelBuilder b(1);
  ValueType type = ModelBuilder::reals({4});
  type.dtype = DType::U8;
  type.qparams = std::make_shared<const QParams>(QParams::per_tensor({1.0F, 10}, unsigned_codes(8)));
  const ValueId codes = b.add(Quantize{}, {b.input({4})}, type);
  const Tensor ties = Tensor::from<float>({0.5F, 1.5F, -0.5F, 2.5F}, {1, 4});
  EXPECT_THAT(last_codes(b, ties, RoundingTarget::Onnx), testing::ElementsAre(10, 12, 10, 12));
  EXPECT_THAT(last_codes(b, ties, RoundingTarget::Tflite), testing::ElementsAre(11, 12, 9, 13));
  // Halves of 0, 2, 0 and 2 of ONNX, and of 1, 2, -1 and 3 of TFLite, joined with themselves.
  type.shape = {8};
  type.qparams = std::make_shared<const QParams>(QParams::per_tensor({2.0F, 0}, unsigned_codes(8)));
  b.add(Concat{}, {codes, codes}, type);
  EXPECT_THAT(last_codes(b, ties, RoundingTarget::Onnx), testing::ElementsAre(0, 1, 0, 1, 0, 1, 0, 1));
  EXPECT_THAT(last_codes(b, ties, RoundingTarget::Tflite), testing::ElementsAre(1, 1, 0, 2, 1, 1, 0, 2));
}

TEST(TargetPlan, RoundsTheSumsOfProducts) {
  ModelBuilder b(3);
  const ValueId x = b.quantize(b.input({6, 5, 4}));
  const ValueId y =
      b.conv(x, {.o = 6, .kh = 3, .kw = 2, .stride_h = 2, .stride_w = 1, .padding = 1, .groups = 2}, true);
  const Tensor input = test::random_inputs({6, 5, 4}, 3, 1);
  const auto& product = std::get<Product>(b.model.nodes.back().op);
  kernels::ConvShape shape = product.shape;
  shape.n = 3;
  const ScaleZero from = b.type(x).qparams->tensor();
  for (const auto& [name, target] : kernels::rounding_targets()) {
    const std::vector<Tensor> values = TargetPlan(b.model, 3, target).run(std::span(&input, 1));
    std::vector<std::int32_t> acc(static_cast<std::size_t>(3 * shape.output_row()));
    kernels::reference_conv2d_integer(shape, values[x].data<std::uint8_t>().data(), from.zero_point,
                                      product.weight.data<std::int8_t>().data(), acc.data());
    std::vector<std::uint8_t> expected(acc.size());
    const ValueType& type = b.type(y);
    kernels::ProductRounding(target, from, *product.weight.qparams(), product.bias.data<std::int32_t>(), shape.o,
                             {type.qparams->tensor(), type.qparams->codes, true})
        .codes(acc.data(), 3 * shape.out_h() * shape.out_w(), expected.data());
    EXPECT_EQ(codes_of(values[y]), std::vector<int>(expected.begin(), expected.end())) << name;
  }
}

TEST(TargetPlan, MakesKnownTablesAgain) {
  ModelBuilder b(5);
  const auto codes = [](float scale, std::int32_t zero_point) {
    return ValueType{
        .shape = {5},
        .dtype = DType::U8,
        .qparams = std::make_shared<const QParams>(QParams::per_tensor({scale, zero_point}, unsigned_codes(8)))};
  };
  const auto relu = [](double x) { return std::max(x, 0.0); };
  const kernels::CodeTable table = kernels::make_code_table(relu, {1.0F, 10}, {2.0F, 5}, unsigned_codes(8));
  const ValueId x = b.add(Quantize{}, {b.input({5})}, codes(1.0F, 10));
  b.add(Lookup{Tensor::from(std::vector<std::uint8_t>(table.begin(), table.end()), {256})}, {x}, codes(2.0F, 5));
  const Tensor input = Tensor::from<float>({-3.0F, 0.0F, 1.0F, 3.0F, 5.0F}, {1, 5});
  // Halves of the ReLU: 0, 0, 0.5, 1.5, 2.5.
  EXPECT_THAT(last_codes(b, input, RoundingTarget::Detent), testing::ElementsAre(5, 5, 5, 7, 7));
  EXPECT_THAT(last_codes(b, input, RoundingTarget::Tflite), testing::ElementsAre(5, 5, 6, 7, 8));
  EXPECT_EQ(TargetPlan(b.model, 1, RoundingTarget::Tflite).rule(1), RuleUsed::Target);
}

TEST(TargetPlan, SaysWhoseRuleItUses) {
  ModelBuilder b(7);
  const ValueId x = b.quantize(b.input({6, 6, 4}));
  const ValueId grouped = b.conv(x, {.o = 4, .kh = 1, .kw = 1}, false, true, true, 8, {}, 2);
  const ValueId pooled = b.max_pool(b.conv(grouped, {.o = 4, .kh = 1, .kw = 1}));
  b.dequantize(b.softmax(b.lookup(pooled, false)));
  const auto rules = [&](RoundingTarget target) {
    const TargetPlan plan(b.model, 1, target);
    std::vector<RuleUsed> result;
    for (std::size_t node = 0; node < b.model.nodes.size(); ++node) {
      result.push_back(plan.rule(node));
    }
    return result;
  };
  using enum RuleUsed;
  EXPECT_THAT(rules(RoundingTarget::Detent), testing::ElementsAre(Target, Target, Target, None, Target, Target, None));
  EXPECT_THAT(rules(RoundingTarget::Onnx), testing::ElementsAre(Target, Detents, Target, None, Detents, Target, None));
  EXPECT_THAT(rules(RoundingTarget::Tflite),
              testing::ElementsAre(Target, Detents, Target, None, Detents, Detents, None));
}

TEST(TargetPlan, RefusesInputsThatDoNotFit) {
  ModelBuilder b(1);
  b.quantize(b.input({4}));
  const TargetPlan plan(b.model, 2, RoundingTarget::Torch);
  const Tensor other = Tensor::zeros({3, 4}, DType::F32);
  EXPECT_THAT(error_of([&] { plan.run(std::span(&other, 1)); }), HasSubstr("expected f32 [2, 4], got f32 [3, 4]"));
  EXPECT_THAT(error_of([&] { plan.run({}); }), HasSubstr("expected 1 inputs, got 0"));
  EXPECT_THAT(error_of([&] { TargetPlan(b.model, 0, RoundingTarget::Torch); }), HasSubstr("batch of at least 1"));
}

}  // namespace
}  // namespace detent::runtime::target_plan_test
