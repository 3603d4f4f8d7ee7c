#include "detent/nn/modules/modules.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/nn/nets.h"

namespace detent::nn::modules_test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

struct Row {
  std::string kind;
  std::string options;        // as a user may write them
  std::vector<Shape> inputs;  // of one example
  Shape output;
  std::vector<std::string> slots;
  std::int64_t parameters;
  std::int64_t multiply_adds;
  std::vector<Shape> wrong;  // an input that it must refuse; empty: none
  friend void PrintTo(const Row& row, std::ostream* out) { *out << row.options; }
};

const std::vector<Row>& rows() {
  static const std::vector<Row> rows = {
      {"conv2d",
       R"({"out_channels": 32, "kernel": 3})",
       {{28, 28, 1}},
       {26, 26, 32},
       {"weight", "bias"},
       320,
       26 * 26 * 288,
       {{784}}},
      {"conv2d",
       R"({"out_channels": 8, "kernel": 3, "stride": 2, "padding": 1, "groups": 4, "bias": false, "relu": true})",
       {{9, 7, 4}},
       {5, 4, 8},
       {"weight"},
       72,
       5 * 4 * 72,
       {{9, 7, 5}}},
      {"conv2d",
       R"({"out_channels": 2, "kernel": 3, "dilation": 2, "init": "xavier_normal"})",
       {{5, 6, 3}},
       {1, 2, 2},
       {"weight", "bias"},
       56,
       2 * 54,
       {{4, 6, 3}}},
      {"conv2d",
       R"({"out_channels": 4, "kernel": [3, 5], "stride": [2, 1], "padding": [1, 0, 1, 2], "dilation": [1, 2]})",
       {{9, 12, 3}},
       {5, 6, 4},
       {"weight", "bias"},
       184,
       5 * 6 * 180,
       {{9, 6, 3}}},
      {"conv2d",
       R"({"out_channels": 4, "kernel": [3, 1], "padding": [1, 0]})",
       {{9, 12, 3}},
       {9, 12, 4},
       {"weight", "bias"},
       40,
       9 * 12 * 36,
       {{9, 12}}},
      {"linear", R"({"out_features": 10})", {{784}}, {10}, {"weight", "bias"}, 7850, 7840, {{28, 28, 1}}},
      {"linear",
       R"({"out_features": 10, "bias": false, "relu": true, "in_features": 5})",
       {{5}},
       {10},
       {"weight"},
       50,
       50,
       {{6}}},
      {"batch_norm", R"({})", {{6, 6, 5}}, {6, 6, 5}, {"weight", "bias", "running_mean", "running_var"}, 10, 0, {}},
      {"batch_norm",
       R"({"affine": false, "momentum": 0.25, "epsilon": 1e-4, "channels": 5})",
       {{5}},
       {5},
       {"running_mean", "running_var"},
       0,
       0,
       {{4}}},
      {"activation", R"({"function": "gelu"})", {{3, 4, 5}}, {3, 4, 5}, {}, 0, 0, {}},
      {"activation", R"({"function": "leaky_relu", "slope": 0.2})", {{7}}, {7}, {}, 0, 0, {}},
      {"max_pool2d", R"({"kernel": 2})", {{7, 8, 3}}, {3, 4, 3}, {}, 0, 0, {{1, 8, 3}}},
      {"max_pool2d", R"({"kernel": 3, "stride": 2, "padding": 1})", {{7, 8, 3}}, {4, 4, 3}, {}, 0, 0, {{24}}},
      {"max_pool2d",
       R"({"kernel": [2, 3], "stride": [2, 1], "padding": [0, 1, 1, 0]})",
       {{7, 8, 3}},
       {4, 7, 3},
       {},
       0,
       0,
       {{24}}},
      {"avg_pool2d", R"({"kernel": [7, 2], "stride": [7, 2]})", {{7, 8, 3}}, {1, 4, 3}, {}, 0, 0, {{6, 8, 3}}},
      {"avg_pool2d", R"({"kernel": 2})", {{7, 8, 3}}, {3, 4, 3}, {}, 0, 0, {{24}}},
      {"global_avg_pool2d", R"({})", {{7, 8, 3}}, {3}, {}, 0, 0, {{24}}},
      {"dropout", R"({"p": 0.25})", {{7, 8, 3}}, {7, 8, 3}, {}, 0, 0, {}},
      {"flatten", R"({})", {{7, 8, 3}}, {168}, {}, 0, 0, {}},
      {"add", R"({})", {{7, 8, 3}, {7, 8, 3}}, {7, 8, 3}, {}, 0, 0, {{7, 8, 3}, {7, 8, 4}}},
      {"concat", R"({})", {{7, 8, 3}, {7, 8, 3}}, {7, 8, 6}, {}, 0, 0, {{7, 8, 3}, {7, 9, 3}}},
      {"softmax", R"({})", {{7, 8, 3}}, {7, 8, 3}, {}, 0, 0, {Shape{}}},
      {"softmax", R"({})", {{2, 3, 4, 5}}, {2, 3, 4, 5}, {}, 0, 0, {}},
      {"softmax", R"({})", {{1}}, {1}, {}, 0, 0, {}},
      {"concat", R"({"inputs": 3})", {{4}, {4}, {4}}, {12}, {}, 0, 0, {{4}, {4}, {4, 1}}},
  };
  return rows;
}

class EveryModule : public testing::TestWithParam<Row> {
 protected:
  std::shared_ptr<Module> make() const { return module_kinds().at(GetParam().kind)(json::parse(GetParam().options)); }
};

TEST_P(EveryModule, HasTheShapesOfItsKind) {
  const Row& row = GetParam();
  const auto module = make();
  EXPECT_EQ(module->kind(), row.kind);
  ASSERT_EQ(module->arity(), row.inputs.size());
  module->bind(row.inputs);
  EXPECT_EQ(module->output_shape(row.inputs), row.output);
  EXPECT_EQ(module->multiply_adds(row.inputs), row.multiply_adds);
  EXPECT_EQ(parameter_count(*module), row.parameters) << "before it is initialized";
  RandomStream random(1, "test");
  module->initialize(random);
  EXPECT_EQ(parameter_count(*module), row.parameters) << "after";
  std::vector<std::string> names;
  for (const Slot& slot : module->slots()) {
    names.push_back(slot.name);
    EXPECT_TRUE(slot.tensor->defined()) << slot.name;
    EXPECT_EQ(slot.tensor->shape(), slot.shape) << slot.name;
    EXPECT_EQ(slot.tensor->dtype(), slot.dtype) << slot.name;
    EXPECT_EQ(slot.parameter == nullptr, slot.name.starts_with("running")) << slot.name;
    if (slot.parameter != nullptr) {
      EXPECT_EQ(slot.parameter->decay, slot.name == "weight" && row.kind != "batch_norm") << slot.name;
    }
  }
  EXPECT_EQ(names, row.slots);
}

TEST_P(EveryModule, ComesBackFromItsOptions) {
  const auto module = make();
  module->bind(GetParam().inputs);
  const json options = module->options();
  EXPECT_FALSE(options.contains("name"));
  const json written = json::parse(GetParam().options);
  for (const auto& [key, value] : written.items()) {
    EXPECT_EQ(options.at(key), value) << key;
  }
  const auto again = module_kinds().at(GetParam().kind)(json::parse(options.dump()));
  EXPECT_EQ(again->options(), options);
}

TEST_P(EveryModule, RefusesWhatDoesNotFit) {
  const Row& row = GetParam();
  if (!row.wrong.empty()) {
    const auto module = make();
    EXPECT_THROW(module->output_shape(row.wrong), Error) << "before it is bound";
    const auto bound = make();
    bound->bind(row.inputs);
    EXPECT_THROW(bound->output_shape(row.wrong), Error) << "after";
  }
  json options = json::parse(row.options);
  options["colour"] = 1;
  EXPECT_THAT(error_of([&] { module_kinds().at(row.kind)(options); }),
              AllOf(HasSubstr(row.kind), HasSubstr("unknown option 'colour'")));
  EXPECT_THROW(module_kinds().at(row.kind)(json::parse("[1]")), Error);
}

TEST_P(EveryModule, ComputesTheShapeThatItPromises) {
  const Row& row = GetParam();
  Graph net;
  std::vector<Graph::Handle> inputs{net.input(row.inputs[0])};
  while (inputs.size() < row.inputs.size()) {
    inputs.push_back(inputs[0]);
  }
  net.add(make(), inputs);
  net.initialize(3);
  EXPECT_EQ(evaluate(net, random_tensor(row.inputs[0].batched(2), 1)).shape(), row.output.batched(2));
}

INSTANTIATE_TEST_SUITE_P(All, EveryModule, testing::ValuesIn(rows()),
                         [](const auto& parameter) { return parameter.param.kind + std::to_string(parameter.index); });

TEST(Modules, EveryKindHasARow) {
  for (const auto& [kind, factory] : module_kinds()) {
    EXPECT_NE(std::ranges::find(rows(), kind, &Row::kind), rows().end()) << kind;
  }
}

TEST(Modules, RefuseOptionsOutOfRange) {
  const auto error = [](const char* kind, const char* options) {
    json given = json::parse(options);
    if (std::string_view(kind) == "conv2d") {
      given.emplace("out_channels", 1);
    }
    return error_of([&] { module_kinds().at(kind)(given); });
  };
  EXPECT_EQ(error("conv2d", R"({"kernel": 0})"), "conv2d: kernel: expected at least 1, got 0");
  EXPECT_EQ(error("conv2d", R"({"kernel": "3"})"),
            R"(conv2d: kernel: expected an integer or [height, width], got "3")");
  EXPECT_EQ(error("conv2d", R"({"kernel": 2.5})"), "conv2d: kernel: expected an integer or [height, width], got 2.5");
  EXPECT_EQ(error("conv2d", R"({"kernel": [3, 3, 3]})"),
            "conv2d: kernel: expected an integer or [height, width], got [3,3,3]");
  EXPECT_EQ(error("conv2d", R"({"stride": [1, 0]})"), "conv2d: stride: expected at least 1, got 0");
  EXPECT_EQ(error("conv2d", R"({"padding": [0, 0, 1]})"),
            "conv2d: padding: expected an integer, [height, width] or [top, left, bottom, right], got [0,0,1]");
  EXPECT_EQ(error("conv2d", R"({"padding": [0, 0, 1, -1]})"), "conv2d: padding: expected at least 0, got -1");
  EXPECT_EQ(error("conv2d", R"({"bias": 1})"), "conv2d: bias: expected true or false, got 1");
  EXPECT_THAT(error("conv2d", R"({"init": "zeros"})"), HasSubstr("got 'zeros'"));
  EXPECT_THAT(error("conv2d", R"({"padding": -1})"), HasSubstr("padding: expected at least 0"));
  EXPECT_THAT(error("conv2d", R"({"out_channels": 4294967296})"), HasSubstr("expected at most"));
  EXPECT_THAT(error("linear", R"({"out_features": 0})"), HasSubstr("out_features"));
  EXPECT_THAT(error("dropout", R"({"p": 1.0})"), HasSubstr("0 <= p < 1"));
  EXPECT_THAT(error("batch_norm", R"({"momentum": 2})"), HasSubstr("momentum"));
  EXPECT_THAT(error("batch_norm", R"({"epsilon": 0})"), HasSubstr("epsilon"));
  EXPECT_THAT(error("activation", R"({"function": "softmax"})"), HasSubstr("softmax"));
  EXPECT_THAT(error("max_pool2d", R"({"stride": -1})"), HasSubstr("stride"));
  EXPECT_THAT(error_of([] { Graph().add(nullptr, {}); }), HasSubstr("null"));
}

TEST(Modules, SayThatTheNumberOfOutputsIsMissing) {
  Graph net;
  const auto x = net.input({6, 6, 2});
  EXPECT_EQ(error_of([&] { net.conv2d(x, {.kernel = 3, .name = "conv"}); }),
            "conv2d: out_channels: expected at least 1, got 0: set it");
  EXPECT_EQ(error_of([&] { net.linear(net.flatten(x), {.name = "fc"}); }),
            "linear: out_features: expected at least 1, got 0: set it");
  EXPECT_THAT(error_of([] { module_kinds().at("conv2d")(json::parse(R"({"kernel": 3})")); }),
              HasSubstr("out_channels: expected at least 1"));
  EXPECT_THAT(error_of([] { module_kinds().at("linear")(json::parse("{}")); }),
              HasSubstr("out_features: expected at least 1"));
}

TEST(Modules, SayThatWeightsAreMissing) {
  Graph net;
  net.linear(net.input({3}), {.out_features = 2, .name = "fc"});
  EXPECT_THAT(error_of([&] {
                evaluate(net, Tensor::zeros({1, 3}, DType::F32));
              }),
              HasSubstr("fc: its weights are not set"));
  RandomStream random(1, "test");
  EXPECT_THAT(error_of([&] { Linear({.out_features = 2}).initialize(random); }), HasSubstr("in_features"));
}

// The mask is keyed by seed, step and name, and by nothing else.
TEST(Dropout, IsAFunctionOfSeedStepAndName) {
  const Tensor ones = Tensor::full({4, 100}, DType::F32, 1.0);
  const auto mask = [&](const std::string& name, std::uint64_t seed, std::uint64_t step, bool training = true) {
    Graph net;
    net.dropout(net.input({100}), 0.5, name);
    Tape tape;
    Context context{.tape = tape, .training = training, .seed = seed, .step = step};
    return net.forward(context, tape.constant(ones)).value();
  };
  const Tensor first = mask("a", 1, 1);
  EXPECT_EQ(difference(first, mask("a", 1, 1)), "");
  EXPECT_NE(difference(first, mask("b", 1, 1)), "");
  EXPECT_NE(difference(first, mask("a", 2, 1)), "");
  EXPECT_NE(difference(first, mask("a", 1, 2)), "");
  EXPECT_EQ(difference(ones, mask("a", 1, 1, false)), "");
}

TEST(BatchNorm, UpdatesItsStatisticsInTrainingOnly) {
  Graph net;
  net.batch_norm(net.input({1}), {.momentum = 0.5, .name = "bn"});
  net.initialize(1);
  auto& bn = static_cast<BatchNorm&>(*net.node("bn").module);
  const Tensor x = Tensor::from<float>({1.0F, 3.0F}, {2, 1});
  evaluate(net, x);
  EXPECT_EQ(bn.running_mean().item(), 0.0);
  Tape tape;
  Context context{.tape = tape, .training = true};
  net.forward(context, tape.constant(x));
  EXPECT_EQ(bn.running_mean().item(), 1.0);      // 0.5 * 0 + 0.5 * 2
  EXPECT_EQ(bn.running_variance().item(), 1.5);  // 0.5 * 1 + 0.5 * 2, unbiased
}

}  // namespace
}  // namespace detent::nn::modules_test
