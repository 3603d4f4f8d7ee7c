// Graphs with more than one input, of different ranks.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "detent/nn/model_file.h"
#include "tests/data/temp_folder.h"
#include "tests/nn/nets.h"

namespace detent::nn::several_inputs_test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

/// An image and a row of features, brought together.
Graph image_and_features() {
  Graph net;
  const auto image = net.input({6, 6, 2}, "image");
  const auto features = net.input({5}, "features");
  const auto seen = net.flatten(net.relu(net.conv2d(image, {.out_channels = 2, .kernel = 3, .name = "conv"})));
  const auto a = net.linear(seen, {.out_features = 4, .name = "of_image"});
  const auto b = net.linear(features, {.out_features = 4, .name = "of_features"});
  net.output(net.linear(net.relu(net.add(a, b, "sum")), {.out_features = 3, .name = "fc"}));
  net.initialize(3);
  return net;
}

Tensor evaluate_both(Graph& net, const Tensor& image, const Tensor& features) {
  Tape tape(nullptr, Tape::Mode::Inference);
  Context context{.tape = tape};
  return net.forward(context, std::vector<Variable>{tape.constant(image), tape.constant(features)}).value();
}

TEST(SeveralInputs, EachReachesItsReaders) {
  Graph net = image_and_features();
  const Tensor image = random_tensor({2, 6, 6, 2}, 1), features = random_tensor({2, 5}, 2);
  const Tensor y = evaluate_both(net, image, features);
  EXPECT_EQ(y.shape(), Shape({2, 3}));
  EXPECT_NE(difference(y, evaluate_both(net, random_tensor({2, 6, 6, 2}, 4), features)), "");
  EXPECT_NE(difference(y, evaluate_both(net, image, random_tensor({2, 5}, 4))), "");
  EXPECT_EQ(difference(y, evaluate_both(net, image, features)), "");
}

TEST(SeveralInputs, ComeBackFromAFile) {
  const TempFolder folder;
  Graph net = image_and_features();
  save_model({.graph = net}, folder / "a.h5");
  Graph again = load_model(folder / "a.h5").graph;
  ASSERT_EQ(again.inputs().size(), 2U);
  EXPECT_EQ(again.inputs()[1].name, "features");
  EXPECT_EQ(again.inputs()[1].shape, Shape({5}));
  const Tensor image = random_tensor({2, 6, 6, 2}, 1), features = random_tensor({2, 5}, 2);
  EXPECT_EQ(difference(evaluate_both(net, image, features), evaluate_both(again, image, features)), "");
  Graph copy = net.clone();
  EXPECT_EQ(difference(evaluate_both(net, image, features), evaluate_both(copy, image, features)), "");
}

TEST(SeveralInputs, AreWrittenAsAListAndOneAsItsShape) {
  EXPECT_EQ(to_json(image_and_features())["inputs"],
            json::parse(R"([{"name": "image", "shape": [6, 6, 2]}, {"name": "features", "shape": [5]}])"));
  Graph one;
  one.relu(one.input({2, 3}));
  EXPECT_EQ(to_json(one)["input"], json::parse("[2, 3]"));
  EXPECT_FALSE(to_json(one).contains("inputs"));
  Graph named;
  named.relu(named.input({3}, "x"));
  EXPECT_EQ(graph_from_json(to_json(named), module_kinds()).inputs()[0].name, "x");
}

TEST(SeveralInputs, ThatDoNotFitAreRefused) {
  Graph net = image_and_features();
  const Tensor image = random_tensor({2, 6, 6, 2}, 1);
  EXPECT_THAT(error_of([&] { evaluate(net, image); }), HasSubstr("expected 2 inputs, got 1"));
  EXPECT_THAT(error_of([&] {
                evaluate_both(net, image, random_tensor({2, 6}, 2));
              }),
              HasSubstr("expected features [N] of [5], got [2, 6]"));
  EXPECT_THAT(error_of([&] {
                evaluate_both(net, image, random_tensor({3, 5}, 2));
              }),
              HasSubstr("features has 3 examples, but image has 2"));
  EXPECT_THAT(error_of([&] { net.input_shape(); }), HasSubstr("expected one input, it has 2"));
  EXPECT_THAT(error_of([&] { net.input({3}); }), HasSubstr("all inputs come before the first module"));
  Graph twice;
  twice.input({3}, "x");
  EXPECT_THAT(error_of([&] { twice.input({3}, "x"); }), HasSubstr("there is a node named 'x' already"));
  const auto read = [](const char* text) { return error_of([&] { graph_from_text(text, module_kinds()); }); };
  EXPECT_THAT(read(R"({"inputs": [], "nodes": [], "output": "x"})"), HasSubstr("inputs: expected a list, got []"));
  EXPECT_THAT(read(R"({"inputs": [{"name": "x"}], "nodes": [], "output": "x"})"), HasSubstr("x has no 'shape'"));
  EXPECT_THAT(read(R"({"inputs": [{"shape": [3]}], "nodes": [], "output": "x"})"), HasSubstr("has no 'name'"));
  EXPECT_THAT(read(R"({"inputs": [{"name": "x", "shape": [3], "a": 1}], "nodes": [], "output": "x"})"),
              HasSubstr("unknown key 'a'"));
}

}  // namespace
}  // namespace detent::nn::several_inputs_test
