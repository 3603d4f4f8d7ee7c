// ONNX files of models: what is in them, and that they come back as the same networks.
#include "detent/interchange/onnx/out/export.h"

#include <gmock/gmock.h>

#include <cmath>

#include "detent/interchange/onnx/model_file.h"
#include "detent/quant/methods/hybrid.h"
#include "detent/quant/passes/convert.h"
#include "detent/quant/passes/prepare.h"
#include "tests/error_of.h"
#include "tests/interchange/onnx_models.h"

namespace detent::onnx::onnx_export_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// Images of two channels, all kinds of layers, in a graph that is no chain.
nn::Graph network() {
  nn::Graph net;
  const auto input = net.input({6, 6, 2});
  auto x = net.conv2d(input, {.out_channels = 4, .kernel = {3, 2}, .padding = {1, 0, 1, 1}, .name = "conv"});
  x = net.batch_norm(x, {.name = "bn"});
  const auto before = net.relu(x);
  x = net.conv2d(before, {.out_channels = 4, .kernel = 3, .padding = 1, .groups = 2, .bias = false, .name = "grouped"});
  x = net.add(x, before, "sum");
  x = net.activation(x, kernels::Activation::HardSwish);
  x = net.activation(x, kernels::Activation::Gelu);
  x = net.max_pool(x, {.kernel = 2});
  x = net.activation(x, kernels::Activation::Silu);
  x = net.flatten(x);
  x = net.linear(x, {.out_features = 5, .name = "fc"});
  x = net.activation(x, kernels::Activation::Tanh);
  net.output(net.linear(x, {.out_features = 3, .name = "last"}));
  net.initialize(3);
  return net;
}

std::vector<float> example(const Shape& shape, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> values(static_cast<std::size_t>(shape.elements()));
  for (float& value : values) {
    value = static_cast<float>(random() % 2001) / 1000.0F - 1.0F;
  }
  return values;
}

const Node& node_named(const Model& model, const std::string& name) {
  const auto found = std::ranges::find(model.nodes, name, &Node::name);
  EXPECT_NE(found, model.nodes.end()) << name;
  return found == model.nodes.end() ? model.nodes.front() : *found;
}

const Array& array_named(const Model& model, const std::string& name) {
  const auto found = std::ranges::find(model.initializers, name, &Array::name);
  EXPECT_NE(found, model.initializers.end()) << name;
  return found == model.initializers.end() ? model.initializers.front() : *found;
}

TEST(OnnxExport, AFloatModelComesBackAsTheSameNetwork) {
  const runtime::Model model = quant::lower(network());
  for (const std::int64_t opset : {13, 14, 20, 21}) {
    SCOPED_TRACE(opset);
    const Model made = parse_model(to_bytes(export_model(model, {.opset = opset})), {});
    EXPECT_EQ(made.opsets.at(""), opset);
    EXPECT_THAT(*made.inputs[0].dims, ElementsAre(-1, 2, 6, 6));
    const Imported back = import_graph(made);
    for (std::uint32_t seed = 0; seed < 5; ++seed) {
      const std::vector<float> x = example({6, 6, 2}, seed);
      const std::vector<float> expected = outputs_of(model, x), actual = outputs_of(back.graph, x);
      ASSERT_EQ(actual.size(), expected.size());
      for (std::size_t i = 0; i < actual.size(); ++i) {
        EXPECT_NEAR(actual[i], expected[i], 1e-5F) << "seed " << seed << ", output " << i;
      }
    }
  }
}

/// The network, with ranges of a few examples, as int8.
runtime::Model int8_of(const nn::Graph& net, const quant::QConfig& config = {}) {
  nn::Graph prepared = quant::prepare(net, quant::QConfigMapping(config));
  for (std::uint32_t seed = 0; seed < 4; ++seed) {
    autograd::Tape tape;
    nn::Context context{.tape = tape};
    const Tensor x = Tensor::from(example(net.input_shape(), 100 + seed), net.input_shape().batched(1));
    (void)prepared.forward(context, tape.constant(x));
  }
  quant::freeze_observers(prepared);
  return quant::convert(prepared).model;
}

TEST(OnnxExport, CodesAreQuantizedAndDequantizedByTheirMaps) {
  nn::Graph net;
  auto x = net.input({4, 4, 2});
  x = net.relu(net.conv2d(x, {.out_channels = 3, .kernel = 3, .name = "conv"}));
  net.output(net.linear(net.flatten(x), {.out_features = 2, .name = "fc"}));
  net.initialize(5);
  const runtime::Model model = int8_of(net);
  const Model made = export_model(model);
  EXPECT_EQ(made.opsets.at(""), 13);

  const runtime::Node& conv = *std::ranges::find(model.nodes, "conv", &runtime::Node::name);
  const auto& product = std::get<runtime::Product>(conv.op);
  const Node& quantize = node_named(made, "conv");
  EXPECT_EQ(quantize.op, "QuantizeLinear");
  EXPECT_THAT(quantize.inputs, ElementsAre("conv/relu", "conv/scale", "conv/zero_point"));
  EXPECT_EQ(array_named(made, "conv/scale").reals()[0], conv.output.qparams->tensor().scale);
  EXPECT_EQ(array_named(made, "conv/zero_point").integers()[0], conv.output.qparams->tensor().zero_point);
  EXPECT_THAT(node_named(made, "conv/product").inputs,
              ElementsAre(HasSubstr("/real"), "conv/weight_real", "conv/bias_real"));

  const Array& weight = array_named(made, "conv/weight");
  EXPECT_EQ(weight.type, ElementType::S8);
  EXPECT_THAT(weight.dims, ElementsAre(3, 2, 3, 3));
  // Output 1, channel 1, row 2, column 0: in the model O KH KW I.
  EXPECT_EQ(weight.integers()[((1 * 2 + 1) * 3 + 2) * 3 + 0],
            product.weight.data<std::int8_t>()[((1 * 3 + 2) * 3 + 0) * 2 + 1]);
  EXPECT_EQ(node_named(made, "conv/weight_real").integer("axis", -1), 0);
  const float input_scale = model.type(conv.inputs[0]).qparams->tensor().scale;
  EXPECT_EQ(array_named(made, "conv/bias").integers()[2], product.bias.data<std::int32_t>()[2]);
  EXPECT_EQ(array_named(made, "conv/bias_scale").reals()[2], input_scale * product.weight.qparams()->scale[2]);
}

TEST(OnnxExport, AnInt8ModelMeansWhatItsCodesMean) {
  const nn::Graph net = network();
  const runtime::Model model = int8_of(net);
  const Imported back = import_graph(parse_model(to_bytes(export_model(quant::lower(net))), {}));
  const std::vector<float> x = example({6, 6, 2}, 7);
  // The float form of the int8 model: activations are tables there, so only what it computes is compared.
  const std::vector<float> real = outputs_of(back.graph, x), codes = outputs_of(model, x);
  for (std::size_t i = 0; i < real.size(); ++i) {
    EXPECT_NEAR(real[i], codes[i], 0.1F) << i;
  }
  const Model made = export_model(model);
  EXPECT_TRUE(std::ranges::any_of(made.nodes, [](const Node& node) { return node.op == "Gather"; })) << "a table";
}

TEST(OnnxExport, FewBitsAreInt4AndClipped) {
  nn::Graph net;
  const auto x = net.input({3});
  net.output(net.linear(x, {.out_features = 1, .name = "fc"}));
  net.initialize(1);
  const runtime::Model model = int8_of(net, {.weight = quant::parse_weight_quantizer("int4 per-channel"),
                                             .activation = quant::parse_activation_quantizer("uint4")});
  const Model made = export_model(model);
  EXPECT_EQ(made.opsets.at(""), 21);
  EXPECT_EQ(made.ir_version, 10);
  const Array& weight = array_named(made, "fc/weight");
  EXPECT_EQ(weight.type, ElementType::S4);
  ASSERT_EQ(weight.bytes.size(), 2U);
  const runtime::Node& fc = *std::ranges::find(model.nodes, "fc", &runtime::Node::name);
  const auto codes = std::get<runtime::Product>(fc.op).weight.data<std::int8_t>();
  EXPECT_EQ(std::to_integer<int>(weight.bytes[0]), (codes[0] & 15) | (codes[1] & 15) << 4);
  EXPECT_EQ(std::to_integer<int>(weight.bytes[1]), codes[2] & 15);
  EXPECT_EQ(node_named(made, "fc/clipped").op, "Clip");
  const ScaleZero map = fc.output.qparams->tensor();
  EXPECT_EQ(array_named(made, "fc/max").reals()[0], map.scale * static_cast<float>(15 - map.zero_point));
  EXPECT_EQ(array_named(export_model(model, {.opset = 13}), "fc/weight").type, ElementType::S8);
}

TEST(OnnxExport, GroupsOfScalesAreBlocks) {
  nn::Graph net;
  const auto x = net.input({5});
  net.output(net.linear(x, {.out_features = 2, .name = "fc"}));
  net.initialize(1);
  const quant::QConfigMapping mapping(quant::QConfig{.weight = quant::parse_weight_quantizer("int8 per-group 2")});
  const runtime::Model model = quant::quantize_hybrid(net, mapping, quant::Method::WeightOnly).model;
  const Model made = export_model(model);
  EXPECT_EQ(node_named(made, "fc/weight_real").integer("block_size", 0), 2);
  EXPECT_THAT(array_named(made, "fc/weight_scale").dims, ElementsAre(2, 3));
  EXPECT_THAT(error_of([&] { export_model(model, {.opset = 13}); }), HasSubstr("onnx: fc: its weights have a scale a"));
  const runtime::Model dynamic = quant::quantize_hybrid(net, mapping, quant::Method::Dynamic).model;
  EXPECT_THAT(error_of([&] { export_model(dynamic); }), HasSubstr("onnx: fc: it is quantized dynamically"));
  EXPECT_EQ(error_of([&] { export_model(model, {.opset = 22}); }), "onnx: opset 22: expected 13 to 21");
}

TEST(OnnxExport, NumbersOfBF16AreRoundedBeforeTheProduct) {
  nn::Graph net;
  const auto x = net.input({5});
  net.output(net.linear(x, {.out_features = 2, .name = "fc"}));
  net.initialize(1);
  runtime::Model model = quant::quantize_hybrid(net, quant::QConfigMapping(), quant::Method::WeightOnly).model;
  const auto casts = [&] {
    const Model made = export_model(model);
    return std::ranges::count(made.nodes, "Cast", &Node::op);
  };
  EXPECT_EQ(casts(), 0);
  std::get<runtime::HybridProduct>(model.nodes[0].op).input = DType::BF16;
  EXPECT_EQ(casts(), 2);
}

}  // namespace
}  // namespace detent::onnx::onnx_export_test
