// The forms of exported models: that they compute the codes that the model has.
#include <gmock/gmock.h>

#include "detent/interchange/onnx/model_file.h"
#include "detent/interchange/onnx/out/export.h"
#include "detent/runtime/reference.h"
#include "tests/error_of.h"
#include "tests/interchange/onnx_evaluate.h"
#include "tests/runtime/random_model.h"

namespace detent::onnx::onnx_forms_test {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

/// Codes or real numbers [1, H, W, C] as [1, C, H, W].
std::vector<double> channels_first(const Tensor& tensor) {
  std::vector<double> values;
  const auto extents = tensor.shape().extents();
  const std::int64_t channels = extents.size() == 4 ? extents[3] : tensor.elements();
  const std::int64_t pixels = tensor.elements() / channels;
  for (std::int64_t i = 0; i < tensor.elements(); ++i) {
    const auto from = static_cast<std::size_t>(i % pixels * channels + i / pixels);
    values.push_back(tensor.dtype() == DType::U8 ? static_cast<double>(tensor.data<std::uint8_t>()[from])
                                                 : static_cast<double>(tensor.data<float>()[from]));
  }
  return values;
}

struct Difference {
  std::int64_t compared = 0, differing = 0;
  double largest = 0;
  std::string first = {};  ///< the value that differs first
};

/// Of the codes that the operations of the format make from those of the model, for one example.
Difference difference_of(const runtime::Model& model, const Model& made, std::uint64_t seed) {
  const Tensor x = runtime::test::random_inputs(model.inputs[0].type.shape, 1, seed);
  const std::vector<Tensor> values = runtime::run_reference(model, std::span(&x, 1));
  Evaluator evaluator(made);
  const auto extents = model.inputs[0].type.shape.extents();
  evaluator.values[made.inputs[0].name] = {.dims = {1, extents[2], extents[0], extents[1]}, .at = channels_first(x)};
  evaluator.run();
  Difference difference;
  for (std::size_t i = 0; i < model.nodes.size(); ++i) {
    const auto found = evaluator.values.find(model.nodes[i].name);
    if (!model.nodes[i].output.is_codes() || found == evaluator.values.end()) {
      continue;
    }
    const std::vector<double> expected = channels_first(values[model.value_of(i)]);
    EXPECT_EQ(found->second.at.size(), expected.size()) << model.nodes[i].name;
    for (std::size_t e = 0; e < std::min(expected.size(), found->second.at.size()); ++e) {
      const double steps = std::abs(found->second.at[e] - expected[e]);
      ++difference.compared;
      difference.differing += steps > 0 ? 1 : 0;
      difference.largest = std::max(difference.largest, steps);
      difference.first = difference.first.empty() && steps > 0 ? model.nodes[i].name : difference.first;
    }
  }
  return difference;
}

std::vector<std::string> operations(const Model& made) {
  std::vector<std::string> names;
  std::ranges::transform(made.nodes, std::back_inserter(names), &Node::op);
  return names;
}

TEST(OnnxForms, TheIntegerFormGivesTheModelsCodes) {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const runtime::Model model = runtime::test::everything(seed);
    const Model made = parse_model(to_bytes(export_model(model, {.form = Form::Integer})), {});
    const Difference difference = difference_of(model, made, seed);
    EXPECT_GT(difference.compared, 10000);
    EXPECT_EQ(difference.differing, 0) << "first in " << difference.first;
    EXPECT_THAT(operations(made), Not(Contains("Conv")));
    EXPECT_THAT(operations(made), Contains("ConvInteger"));
    EXPECT_THAT(operations(made), Contains("MatMulInteger"));
  }
}

TEST(OnnxForms, TheQOperatorFormDiffersInTiesAlone) {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    runtime::test::ModelBuilder b(seed);
    const auto x = b.quantize(b.input({9, 8, 3}), seed % 2 == 0 ? 8 : 5);
    const auto first = b.conv(x, {.o = 6, .kh = 3, .kw = 3, .padding = 1}, true, seed % 3 > 0, seed % 4 > 0);
    const auto joined = b.concat({b.max_pool(first), b.max_pool(first)});
    const auto row = b.conv(b.flatten(joined), {.o = 12, .kh = 1, .kw = 1}, true, seed % 2 == 0);
    b.dequantize(b.linear(row, 5));
    const Model made = export_model(b.model, {.form = Form::QOperator});
    const Difference difference = difference_of(b.model, made, seed);
    EXPECT_GT(difference.compared, 600);
    EXPECT_LE(difference.differing, 1) << "first in " << difference.first;
    EXPECT_LE(difference.largest, 1);
    EXPECT_THAT(operations(made), Contains("QLinearConv"));
    EXPECT_EQ(std::ranges::count(operations(made), "QLinearMatMul"), seed % 2 == 0 ? 0 : 1);
    EXPECT_EQ(std::ranges::count(operations(made), "QuantizeLinear"), 1) << "the input's";
  }
}

/// A product whose sum is `sum`: x_q * 1 of one element, with a bias.
runtime::Model one_product(std::int32_t bias, std::int32_t zero_point) {
  runtime::Model model;
  const auto codes = [](ScaleZero map) {
    return runtime::ValueType{.shape = {1},
                              .dtype = DType::U8,
                              .qparams = std::make_shared<const QParams>(QParams::per_tensor(map, unsigned_codes(8)))};
  };
  model.inputs.push_back({"x", {.shape = {1}}});
  model.nodes.push_back({.name = "x_q", .op = runtime::Quantize{}, .inputs = {0}, .output = codes({0.25F, 7})});
  runtime::Product product{.shape = kernels::ConvShape::linear(1, 1, 1)};
  product.weight = Tensor::from(std::vector<std::int8_t>{1}, {1, 1})
                       .with_qparams(std::make_shared<const QParams>(QParams::per_tensor({0.5F, 0}, signed_codes(8))));
  product.bias = Tensor::from(std::vector<std::int32_t>{bias}, {1});
  model.nodes.push_back({.name = "y", .op = product, .inputs = {1}, .output = codes({0.25F, zero_point})});
  model.output = 2;
  return model;
}

TEST(OnnxForms, ATieGoesToTheEvenCodeWithItsZeroPoint) {
  // x = 0.5 is 9, the sum (9 - 7) * 1 + 1 = 3, times 0.25 * 0.5 / 0.25 = 0.5: 1.5, and 2.5 with a bias of 3.
  const auto code = [](std::int32_t bias, std::int32_t zero_point, Form form) {
    const Model made = export_model(one_product(bias, zero_point), {.form = form});
    Evaluator evaluator(made);
    evaluator.values["x"] = {.dims = {1, 1}, .at = {0.5}};
    evaluator.run();
    return evaluator.values.at("y").at.at(0);
  };
  EXPECT_EQ(code(1, 0, Form::Integer), 2);
  EXPECT_EQ(code(3, 0, Form::Integer), 2);
  EXPECT_EQ(code(1, 5, Form::Integer), 6) << "6.5, which is even at 6";
  EXPECT_EQ(code(3, 5, Form::Integer), 8) << "7.5";
  EXPECT_EQ(code(1, 5, Form::QOperator), 7) << "2 of 1.5, then 5";
  EXPECT_EQ(code(1, 0, Form::QOperator), 2);
}

TEST(OnnxForms, NamesAndConstantsAreThoseOfTheModel) {
  const Model made = export_model(one_product(3, 5), {.form = Form::Integer});
  const auto array = [&](const std::string& name) { return *std::ranges::find(made.initializers, name, &Array::name); };
  EXPECT_EQ(array("y/bias").reals()[0], 3.0F);
  EXPECT_EQ(array("y/multiplier").reals()[0], 0.5F);
  EXPECT_EQ(array("y/zero").reals()[0], 5.0F);
  EXPECT_EQ(array("y/weight").type, ElementType::S8);
  EXPECT_EQ(made.opsets.at(""), 13);
  EXPECT_EQ(parse_form("qoperator"), Form::QOperator);
  EXPECT_THAT(error_of([] { parse_form("qop"); }), HasSubstr("expected qdq, qoperator or integer, got 'qop'"));
}

}  // namespace
}  // namespace detent::onnx::onnx_forms_test
