// Weights of whole models, out and in: by name, in either layout, all that does not fit told at once.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "detent/interchange/same/difference.h"
#include "detent/interchange/weights/safetensors.h"
#include "detent/interchange/weights/transfer.h"
#include "tests/data/npy_files.h"
#include "tests/data/temp_folder.h"
#include "tests/interchange/python.h"
#include "tests/nn/nets.h"
#include "tests/runtime/random_model.h"

namespace detent::interchange::weights_transfer_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

/// Convolution, batch norm, pool, and behind the flatten an activation, a batch norm and linear layers.
nn::Graph net() {
  nn::Graph graph;
  auto x = graph.input({4, 4, 3});
  x = graph.conv2d(x, {.out_channels = 5, .kernel = {3, 2}, .padding = 1, .name = "conv1"});
  x = graph.max_pool(graph.relu(graph.batch_norm(x, {.name = "bn1"})), {.kernel = 2});
  x = graph.batch_norm(graph.dropout(graph.flatten(x), 0.25), {.name = "bn2"});
  x = graph.relu(graph.linear(graph.relu(x), {.out_features = 6, .name = "fc1"}));
  graph.output(graph.linear(x, {.out_features = 2, .name = "fc2"}));
  return graph;
}
nn::Graph initialized(std::uint64_t seed) {
  nn::Graph graph = net();
  graph.initialize(seed);
  RandomStream random(seed, "statistics");
  for (const char* name : {"bn1", "bn2"}) {
    for (const nn::Slot& slot : graph.node(name).module->slots()) {
      std::ranges::generate(slot.tensor->data<float>(), [&] { return random.uniform(0.5F, 1.5F); });
    }
  }
  return graph;
}
quant::OpenedModel opened(const nn::Graph& graph) { return {.kind = "fp32", .content = graph}; }
Tensor tensor_of(const nn::Graph& graph, std::string_view node, const std::string& name) {
  for (const nn::Slot& slot : graph.node(node).module->slots()) {
    if (slot.name == name) {
      return *slot.tensor;
    }
  }
  fail("test: no tensor ", node, ".", name);
}
bool is_same(const nn::Graph& a, const nn::Graph& b) {
  return !first_difference(canonical(opened(a)), canonical(opened(b)));
}

/// What reading gives: "" or the error, and then nothing was set.
std::string read_into(nn::Graph& graph, const std::filesystem::path& path, const WeightOptions& options = {}) {
  const nn::Graph before = graph.clone();
  const std::string error = error_of([&] {
    const std::unique_ptr<WeightFile> file = WeightFile::open(path);
    read_weights(*file, graph, options);
  });
  if (error != "no error") {
    EXPECT_TRUE(is_same(graph, before));
    EXPECT_TRUE(error.starts_with(path.string())) << error;
  }
  return error == "no error" ? "" : error;
}

TEST(Weights, GoOutAndComeBackInEveryFormatAndLayout) {
  const nn::Graph graph = initialized(1);
  const TempFolder folder;
  for (const Layout layout : {Layout::Detent, Layout::PyTorch}) {
    for (const char* name : {"w.safetensors", "w.npz"}) {
      SCOPED_TRACE(std::string(name) + " " + std::string(name_of(layout)));
      write_weights(folder / name, weights_of(opened(graph), {.layout = layout}), layout);
      nn::Graph other = initialized(2);
      EXPECT_FALSE(is_same(graph, other));
      EXPECT_EQ(read_into(other, folder / name), "");  // the file says its layout
      EXPECT_TRUE(is_same(graph, other));
      EXPECT_THAT(
          read_into(other, folder / name, {.layout = layout == Layout::Detent ? Layout::PyTorch : Layout::Detent}),
          HasSubstr("says that it has layout " + std::string(name_of(layout))));
    }
  }
}

TEST(Weights, OfPyTorchLieAsItsImagesDo) {
  const nn::Graph graph = initialized(1);
  const std::map<std::string, Tensor> theirs = weights_of(opened(graph), {.layout = Layout::PyTorch});
  const Tensor conv = tensor_of(graph, "conv1", "weight");
  EXPECT_EQ(conv.shape(), Shape({5, 3, 2, 3}));
  const Tensor& their_conv = theirs.at("conv1.weight");
  ASSERT_EQ(their_conv.shape(), Shape({5, 3, 3, 2}));
  const auto at = [](const Tensor& t, std::initializer_list<std::size_t> index) {
    std::size_t flat = 0, axis = 0;
    for (const std::size_t i : index) {
      flat = flat * static_cast<std::size_t>(t.shape()[axis++]) + i;
    }
    return std::as_const(t).data<float>()[flat];
  };
  EXPECT_EQ(at(their_conv, {4, 2, 1, 0}), at(conv, {4, 1, 0, 2}));
  EXPECT_EQ(at(their_conv, {0, 1, 2, 1}), at(conv, {0, 2, 1, 1}));
  // Behind the pool images are [2, 2, 5]: element (h, w, c) is h * 10 + w * 5 + c here, c * 4 + h * 2 + w there.
  for (std::size_t h = 0; h < 2; ++h) {
    for (std::size_t w = 0; w < 2; ++w) {
      for (std::size_t c = 0; c < 5; ++c) {
        EXPECT_EQ(at(theirs.at("fc1.weight"), {3, c * 4 + h * 2 + w}),
                  at(tensor_of(graph, "fc1", "weight"), {3, h * 10 + w * 5 + c}));
        EXPECT_EQ(at(theirs.at("bn2.running_var"), {c * 4 + h * 2 + w}),
                  at(tensor_of(graph, "bn2", "running_var"), {h * 10 + w * 5 + c}));
      }
    }
  }
  for (const char* name : {"bn1.weight", "fc2.weight", "fc1.bias"}) {  // these lie as they do here
    EXPECT_EQ(nn::difference(weights_of(opened(graph)).at(name), theirs.at(name)), "") << name;
  }
}

TEST(Weights, WhereFlattenedImagesGoIsFollowedOrRefused) {
  nn::Graph graph;
  auto x = graph.flatten(graph.input({2, 2, 3}));
  graph.output(graph.add(graph.relu(x), x));
  EXPECT_THAT(error_of([&] { turned_tensors(graph); }), HasSubstr("the result of 'add1' is a flattened image"));
  nn::Graph softmax;
  auto y = softmax.softmax(softmax.flatten(softmax.input({2, 2, 3})));
  softmax.output(softmax.linear(y, {.out_features = 2}));
  EXPECT_THAT(error_of([&] { turned_tensors(softmax); }), HasSubstr("'softmax1', of kind softmax, reads a flattened"));
  nn::Graph grey;  // one channel, or one pixel, is in order either way
  grey.output(grey.linear(grey.softmax(grey.flatten(grey.input({4, 4, 1}))), {.out_features = 2}));
  EXPECT_TRUE(turned_tensors(grey).empty());
  nn::Graph pixel;
  pixel.output(pixel.linear(pixel.flatten(pixel.input({1, 1, 7})), {.out_features = 2}));
  EXPECT_TRUE(turned_tensors(pixel).empty());
}

TEST(Weights, TheLayoutMustBeKnownWhereItMatters) {
  const TempFolder folder;
  const nn::Graph graph = initialized(1);
  write_safetensors(folder / "w.safetensors", weights_of(opened(graph)));
  nn::Graph other = initialized(2);
  EXPECT_THAT(read_into(other, folder / "w.safetensors"),
              HasSubstr("write --layout pytorch (O I KH KW) or --layout detent (O KH KW I)"));
  EXPECT_EQ(read_into(other, folder / "w.safetensors", {.layout = Layout::Detent}), "");
  EXPECT_TRUE(is_same(graph, other));
  nn::Graph perceptron;
  perceptron.output(perceptron.linear(perceptron.flatten(perceptron.input({2, 2, 1})), {.out_features = 2}));
  perceptron.initialize(1);
  write_safetensors(folder / "p.safetensors", weights_of(opened(perceptron)));
  EXPECT_EQ(read_into(perceptron, folder / "p.safetensors"), "");
}

TEST(Weights, NamesAreMapped) {
  const TempFolder folder;
  const nn::Graph graph = initialized(1);
  write_text(folder / "names.json", R"({"conv1": "features.0", "bn1": "features.1", "fc1.weight": "head.w"})");
  WeightOptions options{.names = NameMap(folder / "names.json"), .layout = Layout::PyTorch};
  options.names.add("fc2", "last");
  const std::map<std::string, Tensor> theirs = weights_of(opened(graph), options);
  for (const char* name : {"features.0.weight", "features.1.running_mean", "head.w", "fc1.bias", "last.bias"}) {
    EXPECT_TRUE(theirs.contains(name)) << name;
  }
  EXPECT_EQ(theirs.size(), 14U);
  write_weights(folder / "w.npz", theirs, Layout::PyTorch);
  nn::Graph other = initialized(2);
  EXPECT_EQ(read_into(other, folder / "w.npz", options), "");
  EXPECT_TRUE(is_same(graph, other));

  options.names.add("conv7", "features.9");
  EXPECT_THAT(error_of([&] { weights_of(opened(graph), options); }),
              HasSubstr("names: of no tensor or node of the model: conv7"));
  WeightOptions same;
  same.names.add("fc1", "fc2");
  EXPECT_THAT(error_of([&] { weights_of(opened(graph), same); }), HasSubstr("two tensors would be called \"fc2."));
  for (const char* text : {"[1]", "{\"a\": 1}", "{\"a\": \"\"}", "{"}) {
    write_text(folder / "bad.json", text);
    EXPECT_NE(error_of([&] { NameMap(folder / "bad.json"); }), "no error") << text;
  }
}

TEST(Weights, AllThatDoesNotFitIsToldAtOnce) {
  const TempFolder folder;
  std::map<std::string, Tensor> weights = weights_of(opened(initialized(1)));
  weights.erase("fc2.bias");
  weights.erase("bn1.running_mean");
  weights["conv1.weight"] = Tensor::zeros({5, 3, 3, 2}, DType::F32);
  weights["fc1.bias"] = Tensor::zeros({6}, DType::S32);
  weights["fc2.weight"].data<float>()[1] = std::numeric_limits<float>::infinity();
  weights["head.weight"] = Tensor::scalar(1.0F);
  weights["bn1.num_batches_tracked"] = Tensor::scalar(std::int32_t{7});
  write_weights(folder / "w.safetensors", weights, Layout::Detent);
  nn::Graph graph = initialized(2);
  const std::string error = read_into(graph, folder / "w.safetensors");
  EXPECT_THAT(error, HasSubstr("does not fit the model; "));
  EXPECT_THAT(error, HasSubstr("missing: bn1.running_mean, fc2.bias"));
  EXPECT_THAT(error, HasSubstr("not expected: head.weight"));
  EXPECT_THAT(error, HasSubstr("of another shape: conv1.weight expected [5, 3, 2, 3], got [5, 3, 3, 2]"));
  EXPECT_THAT(error, HasSubstr("of another type: fc1.bias expected f32, got s32"));
  EXPECT_THAT(error, HasSubstr("with numbers that are not finite: fc2.weight"));
  EXPECT_THAT(error, Not(HasSubstr("num_batches_tracked")));
  for (int i = 0; i < 50; ++i) {
    weights["more" + std::to_string(i)] = Tensor::scalar(1.0F);
  }
  write_weights(folder / "w.safetensors", weights, Layout::Detent);
  EXPECT_THAT(read_into(graph, folder / "w.safetensors"), HasSubstr(" and 31 more"));
}

TEST(Weights, RealsOfOtherWidthsAreConverted) {
  const TempFolder folder;
  nn::Graph graph;
  graph.output(graph.linear(graph.input({2}), {.out_features = 1, .name = "fc"}));
  graph.initialize(1);
  const auto weight = [&] {
    const Tensor tensor = tensor_of(graph, "fc", "weight");
    return std::vector<float>(tensor.data<float>().begin(), tensor.data<float>().end());
  };
  write_safetensors(folder / "w.safetensors", {{"fc.weight", Tensor::from<double>({0.1, 2.0}, {1, 2})},
                                               {"fc.bias", Tensor::from<bfloat16>({bfloat16(-0.5F)}, {1})}});
  EXPECT_EQ(read_into(graph, folder / "w.safetensors"), "");
  EXPECT_THAT(weight(), ElementsAre(0.1F, 2.0F));
  EXPECT_EQ(tensor_of(graph, "fc", "bias").item(), -0.5);
  // Arrays of numpy, in the order of Fortran and of another byte order.
  write_npz(folder / "w.npz", {{"fc.weight", npy<std::uint16_t>("<f2", "(1, 2)", {0x3C00, 0xC000}, true)},
                               {"fc.bias", npy_bytes(npy_header(">f4", "(1,)"), std::string("\x40\x40\0\0", 4))}});
  EXPECT_EQ(read_into(graph, folder / "w.npz"), "");
  EXPECT_THAT(weight(), ElementsAre(1.0F, -2.0F));
  EXPECT_EQ(tensor_of(graph, "fc", "bias").item(), 3.0);
  write_npz(folder / "w.npz", {{"fc.weight", npy<std::uint16_t>("<f2", "(1, 2)", {0x3C00, 0xC000})},
                               {"fc.bias", npy<std::int64_t>("<i8", "(1,)", {3})}});
  EXPECT_THAT(read_into(graph, folder / "w.npz"), HasSubstr("of another type: fc.bias expected f32, got s32"));
  write_npz(folder / "w.npz",
            {{"fc.weight", npy<float>("<f4", "(1, 2)", {1, 2})}, {"fc.bias", npy_bytes(npy_header("|O", "(1,)"), "")}});
  EXPECT_THAT(read_into(graph, folder / "w.npz"), HasSubstr("holds Python objects, which are never loaded"));
}

TEST(Weights, OfInt8ModelsAreTheirCodes) {
  const runtime::Model model = runtime::test::everything(1);
  const quant::OpenedModel int8{.kind = "int8", .content = model};
  const std::map<std::string, Tensor> weights = weights_of(int8);
  const auto product = std::ranges::find_if(
      model.nodes, [](const runtime::Node& node) { return std::holds_alternative<runtime::Product>(node.op); });
  const Tensor& weight = std::get<runtime::Product>(product->op).weight;
  EXPECT_EQ(nn::difference(weight, weights.at(product->name + ".weight")), "");
  EXPECT_EQ(weights.at(product->name + ".weight_scale").dtype(), DType::F32);
  EXPECT_EQ(weights.at(product->name + ".bias").dtype(), DType::S32);
  EXPECT_THAT(error_of([&] { weights_of(int8, {.layout = Layout::PyTorch}); }),
              HasSubstr("layout pytorch: is one of float models; this is of kind int8"));
  const TempFolder folder;
  for (const char* name : {"w.safetensors", "w.npz"}) {
    write_weights(folder / name, weights, Layout::Detent);
    const std::unique_ptr<WeightFile> file = WeightFile::open(folder / name);
    EXPECT_EQ(file->names().size(), weights.size());
    for (const auto& [key, tensor] : weights) {
      EXPECT_EQ(nn::difference(tensor, file->read(key)), "") << key;
    }
  }
}

TEST(Weights, OtherEndingsAreRefused) {
  EXPECT_THAT(error_of([] { check_weight_path("w.pt"); }), HasSubstr("write w.safetensors"));
  EXPECT_THAT(error_of([] { WeightFile::open("w.pt"); }), HasSubstr("w.pt: expected tensors in a file"));
  const TempFolder folder;
  write_safetensors(folder / "w.safetensors", {}, {{"layout", "keras"}});
  EXPECT_THAT(error_of([&] { WeightFile::open(folder / "w.safetensors"); }),
              HasSubstr("layout: expected detent or pytorch, got \"keras\""));
}

// The very numbers that PyTorch computes from its weights.
TEST(WeightsSlow, PyTorchAgrees) {
  const std::optional<std::string> python = python_with({"torch", "numpy"});
  if (!python) {
    GTEST_SKIP() << "no torch";
  }
  const TempFolder folder;
  run_python(*python, R"(
import collections, numpy as np, torch
torch.manual_seed(1)
n = torch.nn
net = n.Sequential(collections.OrderedDict(
    conv1=n.Conv2d(3, 5, (3, 2), padding=1), bn1=n.BatchNorm2d(5), relu1=n.ReLU(), pool=n.MaxPool2d(2),
    flatten=n.Flatten(), bn2=n.BatchNorm1d(20), relu2=n.ReLU(), fc1=n.Linear(20, 6), relu3=n.ReLU(), fc2=n.Linear(6, 2)))
with torch.no_grad():
    for _ in range(3):
        net(torch.randn(8, 3, 4, 4))
    net.eval()
    x = torch.randn(7, 3, 4, 4)
    np.savez('w.npz', **{k: v.numpy() for k, v in net.state_dict().items()})
    np.savez('xy.npz', x=x.permute(0, 2, 3, 1).contiguous().numpy(), y=net(x).numpy())
)",
             folder.path());
  nn::Graph graph = initialized(2);
  ASSERT_EQ(read_into(graph, folder / "w.npz", {.layout = Layout::PyTorch}), "");
  const std::unique_ptr<WeightFile> values = WeightFile::open(folder / "xy.npz");
  const Tensor expected = values->read("y");
  const Tensor actual = nn::evaluate(graph, values->read("x"));
  ASSERT_EQ(actual.shape(), expected.shape());
  for (std::size_t i = 0; i < 14; ++i) {
    EXPECT_NEAR(std::as_const(actual).data<float>()[i], expected.data<float>()[i], 1e-5) << i;
  }
}

}  // namespace
}  // namespace detent::interchange::weights_transfer_test
