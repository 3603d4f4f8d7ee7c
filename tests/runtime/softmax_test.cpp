// Softmax in models: plan and reference, files, refusals.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "detent/runtime/model_file.h"
#include "detent/runtime/plan.h"
#include "detent/runtime/reference.h"
#include "tests/error_of.h"
#include "tests/runtime/random_model.h"

namespace detent::runtime::softmax_test {
namespace {

using test::ModelBuilder;
using testing::HasSubstr;

/// Softmax of codes of `bits` bits, then softmax of what they stand for.
Model model_on(const Shape& example, int bits) {
  ModelBuilder b(3);
  b.softmax(b.dequantize(b.softmax(b.quantize(b.input(example), bits), bits)));
  return b.model;
}

TEST(SoftmaxModel, PlansGiveTheCodesOfTheReference) {
  for (const Shape& example : {Shape{1}, Shape{10}, Shape{1000}, Shape{3, 1}, Shape{4, 5, 7}, Shape{2, 3, 4, 65}}) {
    for (const std::int64_t batch : {1, 7, 33}) {
      const Model model = model_on(example, batch == 7 ? 4 : 8);
      const Tensor input = test::random_inputs(example, batch, 5);
      const std::vector<Tensor> expected = run_reference(model, std::span(&input, 1));
      Plan plan(model, batch, {.keeps_values = true});
      plan.run(input);
      const Tensor codes = plan.value(2);
      ASSERT_EQ(codes.shape(), example.batched(batch));
      EXPECT_EQ(std::memcmp(codes.raw(), expected[2].raw(), codes.bytes()), 0) << example << ", batch " << batch;
      const auto reals = plan.value(4).data<float>(), expected_reals = expected[4].data<float>();
      for (std::size_t i = 0; i < reals.size(); ++i) {
        ASSERT_NEAR(reals[i], expected_reals[i], 1e-6) << example << ", batch " << batch << ", element " << i;
      }
    }
  }
}

TEST(SoftmaxModel, ComesBackFromItsFile) {
  const Model model = model_on({4, 10}, 8);
  const Model read = from_file(to_file({.model = model})).model;
  const Tensor input = test::random_inputs({4, 10}, 5, 6);
  const std::vector<Tensor> before = run_reference(model, std::span(&input, 1));
  const std::vector<Tensor> after = run_reference(read, std::span(&input, 1));
  EXPECT_EQ(std::memcmp(before[4].raw(), after[4].raw(), after[4].bytes()), 0);

  TensorFile file = to_file({.model = model});
  const std::string table = "parameters/softmax1/table";
  ASSERT_TRUE(file.tensors.contains(table));
  file.tensors[table] = Tensor::zeros({256}, DType::S32);
  EXPECT_THAT(error_of([&] { from_file(file); }), HasSubstr("softmax1: table: element 0: expected 2^30, got 0"));
  file.tensors.erase(table);
  EXPECT_THAT(error_of([&] { from_file(file); }), HasSubstr("softmax1: no tensor 'parameters/softmax1/table'"));
}

TEST(SoftmaxModel, RefusesWhatIsNone) {
  const auto error_with = [](const std::function<void(Model&)>& damage) {
    Model model = model_on({4, 10}, 8);
    damage(model);
    return error_of([&] { model.validate(); });
  };
  const auto table_of = [](Model& m) -> Tensor& { return std::get<Softmax>(m.nodes[1].op).table; };
  EXPECT_EQ(error_with([](Model&) {}), "no error");
  EXPECT_THAT(error_with([&](Model& m) { table_of(m) = Tensor(); }), HasSubstr("softmax1: table: expected s32 [256]"));
  EXPECT_THAT(error_with([&](Model& m) { table_of(m) = Tensor::full({255}, DType::S32, 1); }),
              HasSubstr("expected s32 [256], got s32 [255]"));
  EXPECT_THAT(error_with([&](Model& m) {
                table_of(m) = table_of(m).clone();
                table_of(m).data<std::int32_t>()[9] = -1;
              }),
              HasSubstr("table: element 9: expected a number in [0, 1073741824], got -1"));
  EXPECT_THAT(error_with([](Model& m) { m.nodes[1].inputs = {0}; }), HasSubstr("expected codes to codes or f32"));
  EXPECT_THAT(error_with([](Model& m) { m.nodes[1].output.shape = {40}; }), HasSubstr("expected one shape"));
  EXPECT_THAT(error_with([&](Model& m) { m.nodes[3].op = m.nodes[1].op; }), HasSubstr("table: expected none, of f32"));
  ModelBuilder scalar(1);
  scalar.softmax(scalar.input({}));
  EXPECT_THAT(error_of([&] { scalar.model.validate(); }), HasSubstr("expected an axis of channels, got a scalar"));
}

}  // namespace
}  // namespace detent::runtime::softmax_test
