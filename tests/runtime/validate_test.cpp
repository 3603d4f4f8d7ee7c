// Every refusal of Model::validate: a damaged model gives one clear line, by validate and by Plan, never a crash.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "detent/runtime/plan.h"
#include "detent/runtime/reference.h"
#include "tests/error_of.h"
#include "tests/runtime/random_model.h"

namespace detent::runtime::validate_test {
namespace {

using test::ModelBuilder;
using testing::HasSubstr;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr std::int64_t kHuge = std::int64_t{1} << 62;

/// The tests' model, with one node of each operation that is damaged, by name.
Model sound() {
  ModelBuilder b(1);
  const ValueId image = b.input({8, 8, 4});
  const ValueId x = b.quantize(image);
  const ValueId conv = b.conv(x, {.o = 4, .kh = 3, .kw = 3, .padding = 1});
  const ValueId sum = b.sum(conv, x);
  const ValueId joined = b.concat({sum, conv});
  const ValueId pooled = b.max_pool(joined);
  const ValueId average = b.pool(pooled, PoolKind::Average, {.kh = 2, .kw = 2});
  const ValueId table = b.lookup(b.lookup(average, true), false);
  const ValueId real = b.dequantize(b.flatten(table));
  const ValueId norm = b.batch_norm(b.activation(real, kernels::Activation::LeakyRelu));
  const ValueId fc = b.linear(norm, 10);
  b.conv(norm, {.o = 10}, true, true, true, 8, {fc});
  return b.model;
}

/// The node of an operation, the `index`-th of them.
template <typename T>
Node& node_with(Model& model, std::size_t index = 0) {
  for (Node& node : model.nodes) {
    if (std::holds_alternative<T>(node.op) && index-- == 0) {
      return node;
    }
  }
  throw std::logic_error("the model has no such node");
}
template <typename T>
T& op_with(Model& model, std::size_t index = 0) {
  return std::get<T>(node_with<T>(model, index).op);
}

QParams map_of(const Node& node) { return *node.output.qparams; }
void set_map(Node& node, const QParams& map) { node.output.qparams = std::make_shared<const QParams>(map); }
void set_weight_map(Model& model, const std::function<void(QParams&)>& damage) {
  Product& product = op_with<Product>(model);
  QParams map = *product.weight.qparams();
  damage(map);
  product.weight = product.weight.with_qparams(std::make_shared<const QParams>(map));
}
Tensor with_element(const Tensor& tensor, std::size_t index, float value) {
  Tensor copy = tensor.clone();
  copy.data<float>()[index] = value;
  return copy;
}

struct Damage {
  const char* name;
  std::function<void(Model&)> damage;
  const char* message;
};

const Damage kDamages[] = {
    {"no input", [](Model& m) { m = Model(); }, "model: expected at least one input"},
    {"output beyond", [](Model& m) { m.output = 99; }, "model: expected an output below 15, got 99"},
    {"no name", [](Model& m) { m.nodes[0].name = ""; }, "model: value 1: expected a name"},
    {"one name for two", [](Model& m) { m.nodes[1].name = "input0"; }, "model: input0: expected a name of its own"},
    {"shape of nothing",
     [](Model& m) {
       m.inputs[0].type.shape = {8, 0, 4};
     },
     "model: input0: expected a shape of"},
    {"shape of less",
     [](Model& m) {
       m.nodes[1].output.shape = {8, -8, 4};
     },
     "model: product1: expected a shape of"},
    {"shape beyond",
     [](Model& m) {
       m.inputs[0].type.shape = {1 << 30, 1 << 30, 1 << 30};
     },
     "model: input0: "},
    {"bytes without a map", [](Model& m) { m.inputs[0].type.dtype = DType::U8; }, "got u8 without one"},
    {"reals with a map", [](Model& m) { m.nodes[0].output.dtype = DType::F32; }, "expected codes of u8, got f32"},
    {"map without a scale",
     [](Model& m) { set_map(m.nodes[0], {.scale = {}, .zero_point = {}, .axis = -1, .codes = {}}); },
     "model: quantize0: qparams: expected as many zero points as scales"},
    {"scale of 0",
     [](Model& m) {
       set_map(m.nodes[0], QParams::per_tensor({0.0F, 0}, CodeRange()));
     },
     "quantize0: qparams: expected a finite scale > 0, got 0"},
    {"zero point beyond",
     [](Model& m) {
       set_map(m.nodes[0], QParams::per_tensor({1.0F, 256}, CodeRange()));
     },
     "quantize0: qparams: expected a zero point in [0, 255], got 256"},
    {"a map a channel",
     [](Model& m) {
       set_map(m.nodes[0], {.scale = {1, 1, 1, 1}, .zero_point = {0, 0, 0, 0}, .axis = 2, .codes = {}});
     },
     "quantize0: expected one scale for all codes of a value"},
    {"codes beyond",
     [](Model& m) {
       set_map(m.nodes[0], QParams::per_tensor({1.0F, 0}, {0, 300}));
     },
     "quantize0: expected codes in [0, 255], got [0, 300]"},
    {"input that comes later", [](Model& m) { m.nodes[1].inputs = {2}; },
     "model: product1: expected inputs that come before it, below 2, got 2"},
    {"no inputs", [](Model& m) { m.nodes[1].inputs = {}; }, "model: product1: expected 1 inputs, got 0"},
    {"codes quantized", [](Model& m) { m.nodes[0].output = m.inputs[0].type; }, "quantize0: output: expected codes"},
    {"reals dequantized", [](Model& m) { node_with<Dequantize>(m).inputs = {0}; }, "input: expected codes, got f32"},
    {"quantized to another shape",
     [](Model& m) {
       m.nodes[0].output.shape = {8, 8, 5};
     },
     "quantize0: expected one shape, got [8, 8, 4] to [8, 8, 5]"},

    {"two inputs of codes",
     [](Model& m) {
       m.nodes[1].inputs = {1, 1};
     },
     "product1: expected 1 inputs, got 2"},
    {"product of codes to reals",
     [](Model& m) {
       node_with<Product>(m).output = {{8, 8, 4}};
     },
     "product1: expected codes to codes or f32 to f32, got codes to f32"},
    {"stride of 0", [](Model& m) { op_with<Product>(m).shape.stride_h = 0; }, "product1: conv2d: expected stride"},
    {"padding beyond", [](Model& m) { op_with<Product>(m).shape.padding.left = kHuge; }, "expected numbers below 2^31"},
    {"dilation beyond", [](Model& m) { op_with<Product>(m).shape.dilation_w = kHuge; }, "expected numbers below 2^31"},
    {"kernel beyond the image", [](Model& m) { op_with<Product>(m).shape.dilation_w = 1 << 30; },
     "product1: conv2d: kernel of 3 x 3"},
    {"groups of 3", [](Model& m) { op_with<Product>(m).shape.groups = 3; }, "product1: conv2d: expected groups"},
    {"shape of a batch", [](Model& m) { op_with<Product>(m).shape.n = 2; }, "product: expected the shape of one image"},
    {"another image", [](Model& m) { op_with<Product>(m).shape.h = 9; },
     "product1: input: expected images [9, 8, 4], got [8, 8, 4]"},
    {"another result", [](Model& m) { op_with<Product>(m).shape.stride_w = 2; },
     "product1: output: expected images [8, 4, 4], got [8, 8, 4]"},
    {"no weight", [](Model& m) { op_with<Product>(m).weight = Tensor(); },
     "product1: weight: expected s8 [4, 3, 3, 4]"},
    {"weight of reals",
     [](Model& m) {
       op_with<Product>(m).weight = Tensor::zeros({4, 3, 3, 4}, DType::F32);
     },
     "weight: expected s8 [4, 3, 3, 4], got f32"},
    {"weight of another shape",
     [](Model& m) {
       op_with<Product>(m).weight = Tensor::zeros({4, 3, 3, 5}, DType::S8);
     },
     "weight: expected s8 [4, 3, 3, 4], got s8 [4, 3, 3, 5]"},
    {"weight without scales",
     [](Model& m) { op_with<Product>(m).weight = op_with<Product>(m).weight.with_qparams(nullptr); },
     "product1: weight: expected codes with their scales"},
    {"too few scales",
     [](Model& m) {
       set_weight_map(m, [](QParams& map) {
         map.scale.pop_back();
         map.zero_point.pop_back();
       });
     },
     "weight: expected one scale, or one for each of 4 outputs, got 3"},
    {"scales of another axis", [](Model& m) { set_weight_map(m, [](QParams& map) { map.axis = 3; }); },
     "got 4 along axis 3"},
    {"weight's zero point", [](Model& m) { set_weight_map(m, [](QParams& map) { map.zero_point[2] = 1; }); },
     "weight: expected zero points of 0, got 1"},
    {"weight of u8 codes", [](Model& m) { set_weight_map(m, [](QParams& map) {
                                            map.codes = {0, 255};
                                          }); },
     "weight: expected codes in [-127, 127], got [0, 255]"},
    {"scale of nan", [](Model& m) { set_weight_map(m, [](QParams& map) { map.scale[1] = kNan; }); },
     "qparams: expected a finite scale > 0"},
    {"code out of range",
     [](Model& m) {
       Product& product = op_with<Product>(m);
       product.weight = product.weight.clone().with_qparams(product.weight.qparams());
       product.weight.data<std::int8_t>()[5] = -128;
     },
     "product1: weight: element 5: expected a number in [-127, 127], got -128"},
    {"bias of reals", [](Model& m) { op_with<Product>(m).bias = Tensor::zeros({4}, DType::F32); },
     "bias: expected s32 [4], got f32 [4]"},
    {"bias beyond", [](Model& m) { op_with<Product>(m).bias = Tensor::full({4}, DType::S32, (1 << 30) + 1); },
     "bias: element 0: expected a number in [-1073741824, 1073741824], got 1073741825"},
    {"float weight of nan",
     [](Model& m) { op_with<Product>(m, 1).weight = with_element(op_with<Product>(m, 1).weight, 7, kNan); },
     "weight: element 7: expected a finite number, got nan"},
    {"float bias of infinity",
     [](Model& m) {
       op_with<Product>(m, 1).bias =
           with_element(op_with<Product>(m, 1).bias, 2, std::numeric_limits<float>::infinity());
     },
     "bias: element 2: expected a finite number, got inf"},
    {"sum of another shape", [](Model& m) { node_with<Product>(m, 2).inputs[1] = node_with<Product>(m, 2).inputs[0]; },
     "second input: expected the shape of the output"},

    {"add of one", [](Model& m) { node_with<Add>(m).inputs = {1}; }, "add2: expected 2 inputs, got 1"},
    {"add of codes and reals",
     [](Model& m) {
       node_with<Add>(m).inputs = {1, 0};
     },
     "expected codes to codes or f32"},
    {"add of two shapes",
     [](Model& m) {
       node_with<Add>(m).output.shape = {4, 8, 8};
     },
     "add2: expected one shape"},
    {"concat of nothing", [](Model& m) { node_with<Concat>(m).inputs = {}; }, "concat3: expected 1 or more inputs"},
    {"concat of too few channels", [](Model& m) { node_with<Concat>(m).inputs = {2}; },
     "concat3: expected 4 channels of its inputs in all, got 8"},
    {"concat of other images",
     [](Model& m) {
       node_with<Concat>(m).output.shape = {4, 16, 8};
     },
     "concat3: expected shapes that differ in the last axis alone"},
    {"concat of scalars", [](Model& m) { node_with<Concat>(m).output.shape = Shape{}; },
     "concat3: expected shapes that differ in the last axis alone"},

    {"pool of stride 0", [](Model& m) { op_with<Pool>(m).shape.stride_w = 0; }, "pool4: "},
    {"pool of a batch", [](Model& m) { op_with<Pool>(m).shape.n = 5; }, "pool: expected the shape of one image"},
    {"pool beyond", [](Model& m) { op_with<Pool>(m).shape.padding.top = kHuge; }, "expected numbers below 2^31"},
    {"pool of other images", [](Model& m) { op_with<Pool>(m).shape.c = 4; }, "pool4: input: expected images [8, 8, 4]"},
    {"pool to other images",
     [](Model& m) {
       node_with<Pool>(m).output.shape = {3, 4, 8};
     },
     "pool4: output: expected images [4, 4, 8], got [3, 4, 8]"},
    {"max-pool to another map",
     [](Model& m) {
       set_map(node_with<Pool>(m), QParams::per_tensor({0.5F, 0}, CodeRange()));
     },
     "pool4: expected the output on the map of the input"},

    {"table of a channel too few",
     [](Model& m) {
       op_with<Lookup>(m).table = Tensor::zeros({7, 256}, DType::U8);
     },
     "table: expected u8 [8, 256], got u8 [7, 256]"},
    {"table of too few", [](Model& m) { op_with<Lookup>(m, 1).table = Tensor::zeros({255}, DType::U8); },
     "table: expected u8 [256], got u8 [255]"},
    {"no table", [](Model& m) { op_with<Lookup>(m).table = Tensor(); }, "table: expected u8 [256], it is missing"},
    {"table of codes beyond",
     [](Model& m) {
       QParams map = map_of(node_with<Lookup>(m));
       map.codes = {0, 15};
       map.zero_point = {3};
       set_map(node_with<Lookup>(m), map);
       op_with<Lookup>(m).table = Tensor::full({8, 256}, DType::U8, 16);
     },
     "table: element 0: expected a number in [0, 15], got 16"},

    {"reshape to fewer", [](Model& m) { node_with<Reshape>(m).output.shape = {71}; }, "expected as many elements as"},
    {"reshape to another map",
     [](Model& m) {
       set_map(node_with<Reshape>(m), QParams::per_tensor({0.5F, 0}, CodeRange()));
     },
     "reshape8: expected the output on the map of the input"},

    {"no such activation", [](Model& m) { op_with<Activation>(m).function = static_cast<kernels::Activation>(77); },
     "activation10: "},
    {"slope of nan", [](Model& m) { op_with<Activation>(m).slope = double{kNan}; }, "expected a finite slope"},
    {"activation of codes", [](Model& m) { node_with<Activation>(m).inputs = {1}; }, "input: expected f32, got codes"},
    {"no mean", [](Model& m) { op_with<BatchNorm>(m).mean = Tensor(); }, "batch_norm11: mean: expected f32 [72]"},
    {"variance of less",
     [](Model& m) { op_with<BatchNorm>(m).variance = with_element(op_with<BatchNorm>(m).variance, 3, -1.0F); },
     "variance: element 3: expected a number of at least 0, got -1"},
    {"gamma of nan",
     [](Model& m) { op_with<BatchNorm>(m).weight = with_element(op_with<BatchNorm>(m).weight, 0, kNan); },
     "batch_norm11: weight: element 0: expected a finite number"},
    {"epsilon of 0", [](Model& m) { op_with<BatchNorm>(m).epsilon = 0; }, "expected a finite epsilon above 0, got 0"},
    {"no custom operation", [](Model& m) { m.nodes[2].op = Custom{}; }, "add2: expected an operation, it has none"},
};

TEST(Validate, AcceptsSoundModels) {
  EXPECT_EQ(error_of([] { sound().validate(); }), "no error");
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    EXPECT_EQ(error_of([seed] { test::everything(seed).validate(); }), "no error");
    EXPECT_EQ(error_of([seed] { test::everything_in_float(seed).validate(); }), "no error");
  }
}

TEST(Validate, RefusesDamagedModelsInOneLine) {
  for (const Damage& damage : kDamages) {
    Model model = sound();
    damage.damage(model);
    const std::string error = error_of([&] { model.validate(); });
    EXPECT_THAT(error, HasSubstr(damage.message)) << damage.name;
    EXPECT_TRUE(error.starts_with("model: ")) << damage.name << ": " << error;
    EXPECT_EQ(error.find('\n'), std::string::npos) << damage.name << ": " << error;
    EXPECT_EQ(error_of([&] { Plan(model, 1); }), error) << damage.name;
    EXPECT_EQ(error_of([&] { run_reference(model, {}); }), error) << damage.name;
  }
}

TEST(Validate, RefusesASumThatDoesNotFit) {
  ModelBuilder b(1);
  const ValueId x = b.quantize(b.input({66'312}));
  b.linear(x, 1);
  EXPECT_THAT(error_of([&] { b.model.validate(); }), HasSubstr("product1: a sum of 66312 products"));
}

TEST(Validate, TellsIntegerModels) {
  EXPECT_TRUE(sound().is_integer());
  EXPECT_FALSE(test::everything_in_float(1).is_integer());
  ModelBuilder b(1);  // what only converts does not compute
  b.dequantize(b.flatten(b.quantize(b.input({4, 2}))));
  EXPECT_FALSE(b.model.is_integer());
}

}  // namespace
}  // namespace detent::runtime::validate_test
