// Graphs of many nodes, and descriptions that are deep or long. Work that grows with the square of the nodes shows as a
// case that takes minutes.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "detent/nn/fuse_relu.h"
#include "detent/nn/model_file.h"
#include "tests/nn/nets.h"

namespace detent::nn::large_graph_test {
namespace {

using testing::HasSubstr;

constexpr std::size_t kLayers = 20000;

Graph deep_net() {
  Graph net;
  auto x = net.linear(net.input({2}), {.out_features = 2, .name = "first"});
  const auto skip = x;
  while (net.nodes().size() < kLayers) {
    x = net.relu(x);
  }
  net.output(net.add(x, skip, "last"));
  return net;
}

TEST(LargeGraph, IsBuiltWrittenReadAndRun) {
  Graph net = deep_net();
  net.initialize(1);
  EXPECT_EQ(net.nodes()[kLayers - 1].name, "relu" + std::to_string(kLayers - 2));
  for (std::size_t i = 2; i + 1 < kLayers; ++i) {
    ASSERT_EQ(net.consumers({i}), 1U) << net.nodes()[i].name;
  }
  const std::size_t lines = 1 + kLayers + 4;  // the title, two rules and the total
  const std::string text = summary(net);
  EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(text, '\n')), lines);
  Graph again = from_file(to_file({.graph = net}), module_kinds()).graph;
  ASSERT_EQ(again.nodes().size(), kLayers + 1);
  Graph fused = fuse_relu(again.clone());
  EXPECT_EQ(fused.nodes().size(), kLayers + 1) << "the first layer has two readers";
  const Tensor x = random_tensor({3, 2}, 1);
  EXPECT_EQ(difference(evaluate(net, x), evaluate(fused, x)), "");
}

TEST(LargeGraph, MessagesDoNotListAllNames) {
  const Graph net = deep_net();
  const std::string error = error_of([&] { (void)net.node("nobody"); });
  EXPECT_THAT(error, HasSubstr("no node named 'nobody': there are input, first, relu1"));
  EXPECT_THAT(error, HasSubstr("20001 in all"));
  EXPECT_LT(error.size(), 1000U);
}

TensorFile file_with(const std::string& graph) {
  Graph net;
  net.linear(net.input({2}), {.out_features = 2, .name = "fc"});
  net.initialize(1);
  TensorFile file = to_file({.graph = net});
  file.attributes["graph"] = graph;
  return file;
}

std::string repeated(const std::string& text, std::size_t count) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) {
    all += text;
  }
  return all;
}

TEST(GraphText, DeepNestingIsRefusedBeforeItIsParsed) {
  const std::size_t depth = 50000;
  for (const auto& [open, close] : {std::pair<std::string, std::string>{"[", "]"}, {"{\"a\":", "}"}}) {
    const std::string deep = repeated(open, depth) + "1" + repeated(close, depth);
    for (const std::string& text :
         {deep, repeated(open, depth), R"({"input": )" + deep + "}", R"({"input": [2], "nodes": )" + deep + "}"}) {
      const TensorFile file = file_with(text);
      EXPECT_THAT(error_of([&] { from_file(file, module_kinds()); }),
                  HasSubstr("the description is nested deeper than"))
          << text.substr(0, 40);
    }
  }
}

TEST(GraphText, LengthIsBounded) {
  const TensorFile file = file_with(std::string((std::size_t{64} << 20) + 1, ' '));
  EXPECT_THAT(error_of([&] { from_file(file, module_kinds()); }),
              HasSubstr("the description has 67108865 bytes, expected at most 67108864"));
}

TEST(GraphText, BracketsInTextsAreNoNesting) {
  const std::string brackets = repeated("[", 1000) + R"(\"[\\)";
  const TensorFile file = file_with(R"({"input": [2], "nodes": [], "output": ")" + brackets + R"("})");
  EXPECT_THAT(error_of([&] { from_file(file, module_kinds()); }), HasSubstr("no node named '[[["));
}

TEST(GraphText, LongValuesAreCutShortInMessages) {
  const std::string text =
      nlohmann::json{{"input", std::string(100000, 'x')}, {"nodes", nlohmann::json::array()}, {"output", "a"}}.dump();
  const std::string error = error_of([&] { from_file(file_with(text), module_kinds()); });
  EXPECT_THAT(error, HasSubstr("input: expected a list of integers, got \"xxx"));
  EXPECT_LT(error.size(), 300U);
}

}  // namespace
}  // namespace detent::nn::large_graph_test
