// ONNX models in and out, as a user types it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "detent/interchange/onnx/model_file.h"
#include "detent/nn/model_file.h"
#include "tests/cli/digits_folder.h"
#include "tests/cli/process.h"

namespace detent::cli::onnx_test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

/// A convolution and a linear layer for digits, with weights of some numbers, as another program would write it.
onnx::Model network() {
  onnx::Model model{.ir_version = 7, .opsets = {{"", 13}}};
  model.inputs.push_back({.name = "image", .dims = std::vector<std::int64_t>{-1, 1, 28, 28}, .batch = "N"});
  model.outputs.push_back({.name = "scores"});
  const auto numbers = [](std::size_t count) {
    std::vector<float> values(count);
    for (std::size_t i = 0; i < count; ++i) {
      values[i] = static_cast<float>(i * 37 % 101) / 100.0F - 0.5F;
    }
    return values;
  };
  using onnx::Array;
  model.initializers = {Array::of("conv.weight", {4, 1, 5, 5}, numbers(100)), Array::of("conv.bias", {4}, numbers(4)),
                        Array::of("fc.weight", {10, 576}, numbers(5760)), Array::of("fc.bias", {10}, numbers(10))};
  const auto node = [&](const char* op, std::vector<std::string> inputs, const char* output,
                        std::vector<onnx::Attribute> attributes = {}) {
    model.nodes.push_back({.name = output, .op = op, .inputs = std::move(inputs), .outputs = {output}});
    model.nodes.back().attributes = std::move(attributes);
  };
  using Numbers = std::vector<std::int64_t>;
  node("Conv", {"image", "conv.weight", "conv.bias"}, "c");
  node("Relu", {"c"}, "r");
  node("MaxPool", {"r"}, "p", {{"kernel_shape", Numbers{2, 2}}, {"strides", Numbers{2, 2}}});
  node("Flatten", {"p"}, "f");
  node("Gemm", {"f", "fc.weight", "fc.bias"}, "scores", {{"transB", std::int64_t{1}}});
  return model;
}

TEST(Onnx, AModelGoesInIsQuantizedAndComesOut) {
  const TempFolder folder;
  write_digits(folder / "data");
  onnx::write_model(network(), folder / "model.onnx");
  const Outcome in = detent(folder, {"import", "model.onnx", "-o", "fp32.h5", "--mean", "0.5", "--std", "0.25"});
  ASSERT_EQ(in.status, 0) << in.err;
  EXPECT_THAT(in.out, HasSubstr("conv "));
  EXPECT_THAT(in.out, HasSubstr("wrote fp32.h5, "));
  const nn::Model imported = nn::load_model(folder / "fp32.h5");
  EXPECT_EQ(std::get<double>(imported.attributes.at("normalization_mean")), 0.5);
  EXPECT_EQ(std::get<double>(imported.attributes.at("normalization_std")), 0.25);

  const Outcome quantized = detent(folder, {"quantize", "fp32.h5", "--data", "data", "--out", "out"});
  ASSERT_EQ(quantized.status, 0) << quantized.err;
  const Outcome out = detent(folder, {"export", "out/int8.h5", "--format", "onnx", "-o", "int8.onnx", "--json"});
  ASSERT_EQ(out.status, 0) << out.err;
  EXPECT_EQ(json::parse(out.out)["opset"], 13);
  EXPECT_EQ(json::parse(out.out)["input"], "input");
  const onnx::Model written = onnx::read_model(folder / "int8.onnx");
  EXPECT_EQ(written.inputs[0].dims, (std::vector<std::int64_t>{-1, 1, 28, 28}));

  const Outcome integers =
      detent(folder, {"export", "out/int8.h5", "--format", "onnx", "--form", "integer", "-o", "integer.onnx"});
  ASSERT_EQ(integers.status, 0) << integers.err;
  const onnx::Model of_integers = onnx::read_model(folder / "integer.onnx");
  EXPECT_EQ(std::ranges::count(of_integers.nodes, "ConvInteger", &onnx::Node::op), 1);

  const Outcome floats = detent(folder, {"export", "fp32.h5", "--format", "onnx", "-o", "fp32.onnx"});
  EXPECT_THAT(floats.out, HasSubstr("of opset 13, from 'input' to 'fc'"));
}

TEST(Onnx, ARecipeBeginsWithAModel) {
  const TempFolder folder;
  write_digits(folder / "data");
  onnx::write_model(network(), folder / "model.onnx");
  const Outcome outcome = detent(folder, {"quantize", "model.onnx", "--data", "data", "--out", "out", "--json"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(json::parse(outcome.out)["verify"]["codes_mismatched"], 0);
}

/// Ten scores of rows of 784, what torch.onnx makes of a perceptron whose images are flattened before it.
onnx::Model perceptron() {
  onnx::Model model{.ir_version = 7, .opsets = {{"", 13}}};
  model.inputs.push_back({.name = "row", .dims = std::vector<std::int64_t>{-1, 784}, .batch = "N"});
  model.outputs.push_back({.name = "scores"});
  std::vector<float> weight(7840);
  for (std::size_t i = 0; i < weight.size(); ++i) {
    weight[i] = static_cast<float>(i * 37 % 101) / 100.0F - 0.5F;
  }
  model.initializers = {onnx::Array::of("weight", {10, 784}, weight)};
  model.nodes.push_back({.name = "fc", .op = "Gemm", .inputs = {"row", "weight"}, .outputs = {"scores"}});
  model.nodes.back().attributes = {{"transB", std::int64_t{1}}};
  return model;
}

TEST(Onnx, ARecipeSaysThatRowsAreImages) {
  const TempFolder folder;
  write_digits(folder / "data");
  onnx::write_model(perceptron(), folder / "model.onnx");
  std::ofstream(folder / "r.toml") << "[data]\nname = \"./data\"\n[model]\nfile = \"model.onnx\"\nimage = \"28x28\"\n";
  const Outcome outcome = detent(folder, {"run", "r.toml", "--out", "out", "--json"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(json::parse(outcome.out)["verify"]["codes_mismatched"], 0);
  EXPECT_EQ(nn::load_model(folder / "out/fp32.h5").graph.input_shape(), (Shape{28, 28, 1}));
  EXPECT_THAT(detent(folder, {"quantize", "model.onnx", "--data", "data", "--out", "rows"}).err,
              HasSubstr("has [28, 28, 1]; import it with --image, in a recipe [model] image: "));
  EXPECT_EQ(
      detent(folder, {"quantize", "model.onnx", "--data", "data", "--set", "model.image=28x28", "--out", "q"}).status,
      0);
}

TEST(Onnx, WrongCallsAreOneLine) {
  const TempFolder folder;
  onnx::Model model = network();
  model.nodes[1].op = "Elu";
  onnx::write_model(model, folder / "elu.onnx");
  const auto error = [&](const std::vector<std::string>& words) {
    const Outcome outcome = detent(folder, words);
    EXPECT_EQ(outcome.status, 2);
    return outcome.err;
  };
  EXPECT_EQ(
      error({"import", "elu.onnx", "-o", "fp32.h5"}),
      "detent: elu.onnx: cannot be imported for 1 operation; Elu 'r': Detent has no such operation; it would take "
      "a module of that kind (docs/extending.md)\n");
  EXPECT_FALSE(std::filesystem::exists(folder / "fp32.h5"));
  EXPECT_EQ(error({"import", "elu.onnx"}),
            "detent: import: expected an output file; write detent import elu.onnx -o fp32.h5\n");
  EXPECT_EQ(error({"import", "elu.onnx", "-o", "fp32"}),
            "detent: import: -o fp32: expected a name that ends in .h5 or .hdf5, for models are written as HDF5; write "
            "-o fp32.h5\n");
  EXPECT_EQ(error({"import", "none.onnx", "-o", "fp32.h5"}),
            "detent: none.onnx: cannot be read: there is no such file\n");
  EXPECT_THAT(error({"import", "elu.onnx", "-o", "fp32.h5", "--task", "class"}), HasSubstr("did you mean 'classes'?"));
  model.nodes[1].op = "Relu";
  onnx::write_model(model, folder / "model.onnx");
  ASSERT_EQ(detent(folder, {"import", "model.onnx", "-o", "fp32.h5"}).status, 0);
  EXPECT_THAT(error({"export", "fp32.h5", "--format", "onnx", "-o", "model"}),
              HasSubstr("expected a name that ends in .onnx; write -o model.onnx"));
  EXPECT_THAT(error({"export", "fp32.h5", "--format", "onnx", "-o", "m.onnx", "--opset", "9"}),
              HasSubstr("--opset: expected a whole number from 13 to 21"));
}

// Networks of PyTorch beside ONNX Runtime, where DETENT_PEERS_PYTHON names a Python that has both.
TEST(OnnxPeersSlow, NetworksOfPyTorchGiveTheSame) {
  const char* const python = std::getenv("DETENT_PEERS_PYTHON");
  const std::filesystem::path build = std::filesystem::path(program_path()).parent_path();
  if (python == nullptr || !std::filesystem::exists(build / "bench/layer_values")) {
    GTEST_SKIP() << "DETENT_PEERS_PYTHON is not set, or the benchmarks are not built";
  }
  const std::string command = "DETENT_BUILD=" + shell_quoted(build.string()) + " " + shell_quoted(python) + " " +
                              shell_quoted(source_path("bench/onnx/import_models"));
  EXPECT_EQ(std::system(command.c_str()), 0);
}

}  // namespace
}  // namespace detent::cli::onnx_test
