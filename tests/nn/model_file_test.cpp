#include "detent/nn/model_file.h"

#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/nn/nets.h"

namespace detent::nn::model_file_test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

Model trained_model() {
  Model model{.graph = residual_net()};
  model.graph.initialize(3);
  train_step(model.graph, random_tensor({4, 8, 8, 3}, 1), random_tensor({4, 4}, 2), 0.05F);
  return model;
}

std::filesystem::path temporary(const std::string& name) {
  return std::filesystem::path(testing::TempDir()) / ("detent_model_" + name + ".h5");
}

TEST(ModelFile, HoldsEverythingAndNothingElse) {
  const TensorFile file = to_file(trained_model());
  EXPECT_EQ(file.text("format"), "detent-model");
  EXPECT_EQ(file.integer("version"), 2);
  EXPECT_EQ(file.text("kind"), "fp32");
  std::vector<std::string> names;
  for (const auto& [name, tensor] : file.tensors) {
    names.push_back(name);
  }
  EXPECT_THAT(names, testing::ElementsAre("parameters/batch_norm1/bias", "parameters/batch_norm1/running_mean",
                                          "parameters/batch_norm1/running_var", "parameters/batch_norm1/weight",
                                          "parameters/batch_norm2/running_mean", "parameters/batch_norm2/running_var",
                                          "parameters/conv1/bias", "parameters/conv1/weight", "parameters/conv2/weight",
                                          "parameters/fc1/bias", "parameters/fc1/weight", "parameters/fc2/bias",
                                          "parameters/fc2/weight"));
}

TEST(ModelFile, ComesBackToTheBit) {
  const auto path = temporary("round_trip");
  Model model = trained_model();
  model.kind = "qat";
  model.attributes["recipe"] = std::string("mnist-cnn");
  model.attributes["seed"] = std::int64_t{7};
  model.tensors["optimizer/steps"] = Tensor::from<std::int32_t>({1, 2, 3}, {3});
  save_model(model, path);
  Model again = load_model(path);
  EXPECT_EQ(again.kind, "qat");
  EXPECT_EQ(again.attributes, model.attributes);
  ASSERT_TRUE(again.tensors.contains("optimizer/steps"));
  EXPECT_EQ(again.tensors.size(), 1U);
  EXPECT_EQ(difference(model.tensors["optimizer/steps"], again.tensors["optimizer/steps"]), "");
  EXPECT_EQ(to_json(again.graph), to_json(model.graph));
  const Tensor x = random_tensor({3, 8, 8, 3}, 9);
  EXPECT_EQ(difference(evaluate(model.graph, x), evaluate(again.graph, x)), "");
  // And it goes on as the other would.
  const Tensor target = random_tensor({3, 4}, 2);
  EXPECT_EQ(train_step(model.graph, x, target, 0.05F), train_step(again.graph, x, target, 0.05F));
  EXPECT_EQ(difference(evaluate(model.graph, x), evaluate(again.graph, x)), "");
  std::filesystem::remove(path);
}

struct Damage {
  std::string name;
  std::function<void(TensorFile&)> hurt;
  std::string message;
  friend void PrintTo(const Damage& row, std::ostream* out) { *out << row.name; }
};

class Damaged : public testing::TestWithParam<Damage> {};

TEST_P(Damaged, IsRefusedInOneLineThatNamesTheFile) {
  TensorFile file = to_file(trained_model());
  file.source = "out/fp32.h5";
  GetParam().hurt(file);
  const std::string error = error_of([&] { from_file(file, module_kinds()); });
  EXPECT_THAT(error, AllOf(StartsWith("out/fp32.h5: "), HasSubstr(GetParam().message)));
  EXPECT_EQ(error.find('\n'), std::string::npos) << error;
}

void set_graph(TensorFile& file, const char* pointer, const nlohmann::json& value) {
  auto graph = nlohmann::json::parse(file.text("graph"));
  graph[nlohmann::json::json_pointer(pointer)] = value;
  file.attributes["graph"] = graph.dump();
}

INSTANTIATE_TEST_SUITE_P(
    All, Damaged,
    testing::Values(
        Damage{"no_format", [](TensorFile& f) { f.attributes.erase("format"); }, "not a model of Detent"},
        Damage{"other_format", [](TensorFile& f) { f.attributes["format"] = std::string("keras"); },
               "not a model of Detent"},
        Damage{"numeric_format", [](TensorFile& f) { f.attributes["format"] = 1.5; }, "not a model of Detent"},
        Damage{"other_version", [](TensorFile& f) { f.attributes["version"] = std::int64_t{3}; },
               "version: expected 1 to 2, got 3"},
        Damage{"no_version", [](TensorFile& f) { f.attributes.erase("version"); }, "version"},
        Damage{"other_kind", [](TensorFile& f) { f.attributes["kind"] = std::string("int4"); },
               "kind: expected fp32 or qat, got 'int4'"},
        Damage{"no_graph", [](TensorFile& f) { f.attributes.erase("graph"); }, "graph"},
        Damage{"graph_not_json", [](TensorFile& f) { f.attributes["graph"] = std::string("{"); }, "not JSON"},
        Damage{"graph_of_numbers", [](TensorFile& f) { f.attributes["graph"] = std::string("[1, 2]"); }, "graph: "},
        Damage{"unknown_module", [](TensorFile& f) { set_graph(f, "/nodes/0/kind", "gru"); }, "unknown kind 'gru'"},
        Damage{"wider_graph", [](TensorFile& f) { set_graph(f, "/nodes/0/options/out_channels", 7); }, "expected"},
        Damage{"larger_kernel",
               [](TensorFile& f) {
                 set_graph(f, "/nodes/0/options/kernel", 5);
                 set_graph(f, "/nodes/0/options/padding", 2);
               },
               "parameters/conv1/weight: expected f32 [6, 5, 5, 3], got f32 [6, 3, 3, 3]"},
        Damage{"missing", [](TensorFile& f) { f.tensors.erase("parameters/fc1/bias"); },
               "no tensor 'parameters/fc1/bias'"},
        Damage{"surplus", [](TensorFile& f) { f.tensors["parameters/fc3/weight"] = Tensor::zeros({1}, DType::F32); },
               "'parameters/fc3/weight' belongs to no module"},
        Damage{"misshaped", [](TensorFile& f) { f.tensors["parameters/fc1/bias"] = Tensor::zeros({11}, DType::F32); },
               "parameters/fc1/bias: expected f32 [10], got f32 [11]"},
        Damage{"other_type", [](TensorFile& f) { f.tensors["parameters/fc1/bias"] = Tensor::zeros({10}, DType::S8); },
               "expected f32 [10], got s8 [10]"},
        Damage{"statistics",
               [](TensorFile& f) {
                 f.tensors["parameters/batch_norm2/running_var"] = Tensor::zeros({6, 1}, DType::F32);
               },
               "parameters/batch_norm2/running_var: expected f32 [6], got f32 [6, 1]"}),
    [](const auto& parameter) { return parameter.param.name; });

TEST(ModelFile, RefusesFilesThatAreNone) {
  EXPECT_THAT(error_of([] { load_model("nowhere/fp32.h5"); }), HasSubstr("nowhere/fp32.h5"));
  const auto path = temporary("foreign");
  std::ofstream(path) << "P5 28 28 255\n";
  EXPECT_THAT(error_of([&] { load_model(path); }), HasSubstr(path.string()));
  std::filesystem::remove(path);
}

TEST(ModelFile, RefusesModelsThatAreNotReady) {
  EXPECT_THAT(error_of([] { to_file({.graph = residual_net()}); }), HasSubstr("conv1.weight has no value"));
  Model model = trained_model();
  model.kind = "int4";
  EXPECT_THAT(error_of([&] { to_file(model); }), HasSubstr("int4"));
  model = trained_model();
  model.attributes["kind"] = std::string("fp32");
  EXPECT_THAT(error_of([&] { to_file(model); }), HasSubstr("'kind'"));
  model = trained_model();
  model.tensors["parameters/x"] = Tensor::zeros({1}, DType::F32);
  EXPECT_THAT(error_of([&] { to_file(model); }), HasSubstr("parameters/x"));
}

}  // namespace
}  // namespace detent::nn::model_file_test
