// Whether two models are the same: every field and every number of one counts, and the first that differs is named.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "detent/interchange/same/difference.h"
#include "tests/data/temp_folder.h"
#include "tests/nn/nets.h"
#include "tests/runtime/random_model.h"

namespace detent::interchange::same_test {
namespace {

using runtime::Model;

CanonicalModel canonical_of(const Model& model, NodeNames names = NodeNames::Count) {
  return canonical(quant::OpenedModel{.kind = "int8", .content = model}, names);
}
CanonicalModel canonical_of(const nn::Graph& graph, NodeNames names = NodeNames::Count) {
  return canonical(quant::OpenedModel{.kind = "fp32", .content = graph}, names);
}

/// "" where the models are the same; their digests must say so, too.
template <typename M>
std::string difference_of(const M& a, const M& b, NodeNames names = NodeNames::Count) {
  const CanonicalModel one = canonical_of(a, names), two = canonical_of(b, names);
  const std::optional<Difference> difference = first_difference(one, two);
  EXPECT_EQ(difference.has_value(), model_sha256(one) != model_sha256(two));
  return difference ? to_text(*difference, "A", "B") : "";
}

/// A model whose tensors share memory with nobody.
Model copy(const Model& model) {
  return runtime::from_file([&] {
           TensorFile file = runtime::to_file({.model = model});
           for (auto& [name, tensor] : file.tensors) {
             tensor = tensor.clone();
           }
           return file;
         }())
      .model;
}

Model sound() {
  runtime::test::ModelBuilder b(1);
  const runtime::ValueId x = b.quantize(b.input({6, 6, 2}));
  const runtime::ValueId conv = b.conv(x, {.o = 3, .kh = 3, .kw = 3, .padding = 1});
  b.dequantize(b.flatten(b.max_pool(b.sum(conv, b.conv(x, {.o = 3, .kh = 1, .kw = 1})))));
  return b.model;
}

template <typename Op>
runtime::Node& node_with(Model& model) {
  for (runtime::Node& node : model.nodes) {
    if (std::holds_alternative<Op>(node.op)) {
      return node;
    }
  }
  throw std::logic_error("the model has no such node");
}

TEST(Same, AModelIsTheSameAsItself) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const Model int8 = runtime::test::everything(seed);
    EXPECT_EQ(difference_of(int8, copy(int8)), "");
    EXPECT_EQ(difference_of(int8, copy(int8), NodeNames::Ignored), "");
    const Model f32 = runtime::test::everything_in_float(seed);
    EXPECT_EQ(difference_of(f32, copy(f32)), "");
  }
  nn::Graph graph = nn::residual_net();
  graph.initialize(1);
  EXPECT_EQ(difference_of(graph, graph.clone()), "");
  EXPECT_EQ(difference_of(graph, graph.clone(), NodeNames::Ignored), "");
}

TEST(Same, EveryFieldOfAModelCounts) {
  struct Change {
    const char* what;
    std::function<void(Model&)> change;
    const char* difference;
  };
  using runtime::Product;
  const std::vector<Change> changes{
      {"a code",
       [](Model& m) { std::get<Product>(node_with<Product>(m).op).weight.data<std::int8_t>()[2 * 9 * 2 + 5] ^= 1; },
       "weight \\[2, 0, 2, 1\\]: -?[0-9]+ in A, -?[0-9]+ in B \\(1 of 54 elements differ\\)"},
      {"a bias", [](Model& m) { std::get<Product>(node_with<Product>(m).op).bias.data<std::int32_t>()[1] += 1; },
       "bias \\[1\\]: -?[0-9]+ in A, -?[0-9]+ in B \\(1 of 3 elements differ\\)"},
      {"a weight's scale",
       [](Model& m) {
         Tensor& weight = std::get<Product>(node_with<Product>(m).op).weight;
         QParams map = *weight.qparams();
         map.scale[0] = std::nextafter(map.scale[0], 1.0F);
         weight = weight.with_qparams(std::make_shared<const QParams>(map));
       },
       "weight_scale \\[0\\]: [0-9.e-]+ in A, [0-9.e-]+ in B \\(1 of 3 elements differ\\)"},
      {"a value's zero point",
       [](Model& m) {
         QParams map = *node_with<runtime::Add>(m).output.qparams;
         map.zero_point[0] ^= 1;
         node_with<runtime::Add>(m).output.qparams = std::make_shared<const QParams>(map);
       },
       "output_zero_point \\[0\\]: [0-9]+ in A, [0-9]+ in B \\(1 of 1 elements differ\\)"},
      {"a ReLU", [](Model& m) { std::get<runtime::Add>(node_with<runtime::Add>(m).op).relu ^= true; },
       "relu: (true in A, false|false in A, true) in B"},
      {"a pad",
       [](Model& m) {
         kernels::ConvShape& shape = std::get<Product>(node_with<Product>(m).op).shape;
         shape.padding = {0, 1, 2, 1};
       },
       "geometry.padding\\[0\\]: 1 in A, 0 in B"},
      {"an operation", [](Model& m) { node_with<runtime::Reshape>(m).op = runtime::Concat(); },
       "op: \"reshape\" in A, \"concat\" in B"},
      {"a name", [](Model& m) { m.nodes[1].name = "other"; }, "name: \".*\" in A, \"other\" in B"},
      {"an input", [](Model& m) { m.nodes[2].inputs[0] = 2; }, "inputs\\[0\\]: \".*\" in A, \".*\" in B"},
      {"a node", [](Model& m) { m.nodes.pop_back(); }, "nodes: 7 nodes in A, 6 nodes in B"},
  };
  for (const Change& change : changes) {
    SCOPED_TRACE(change.what);
    const Model a = sound();
    Model b = copy(a);
    change.change(b);
    if (b.nodes.size() < a.nodes.size()) {
      b.output = b.value_of(b.nodes.size() - 1);
    }
    EXPECT_THAT(difference_of(a, b), testing::MatchesRegex("([a-z0-9_]+: )?" + std::string(change.difference)));
  }
}

TEST(Same, NamesMayBeIgnored) {
  const Model a = sound();
  Model b = copy(a);
  for (runtime::Node& node : b.nodes) {
    node.name = "other_" + node.name;
  }
  b.inputs[0].name = "image";
  EXPECT_NE(difference_of(a, b), "");
  EXPECT_EQ(difference_of(a, b, NodeNames::Ignored), "");
  std::get<runtime::Product>(node_with<runtime::Product>(b).op).bias.data<std::int32_t>()[0] += 1;
  const std::string text = difference_of(a, b, NodeNames::Ignored);  // the node goes by its name in A
  EXPECT_TRUE(text.starts_with(node_with<runtime::Product>(const_cast<Model&>(a)).name + ": bias [0]: ")) << text;
}

TEST(Same, GraphsDifferInOptionsAndNumbers) {
  nn::Graph a = nn::residual_net();
  a.initialize(1);
  nn::Graph b = a.clone();
  b.node("conv2").module->slots()[0].tensor->data<float>()[7] = 0.5F;
  EXPECT_THAT(
      difference_of(a, b),
      testing::MatchesRegex("conv2: weight \\[0, 0, 1, 1\\]: .* in A, 0.5 in B \\(1 of 324 elements differ\\)"));
  nn::Graph other;
  other.output(other.dropout(other.input({4}), 0.25, "drop"));
  nn::Graph more;
  more.output(more.dropout(more.input({4}), 0.5, "drop"));
  EXPECT_EQ(difference_of(other, more), "drop: options.p: 0.25 in A, 0.5 in B");
  nn::Graph wide;
  wide.output(wide.dropout(wide.input({5}), 0.5, "drop"));
  EXPECT_EQ(difference_of(more, wide), "input: shape[0]: 4 in A, 5 in B");
}

TEST(Same, ZeroAndMinusZeroAreTwoNumbers) {
  nn::Graph a = nn::residual_net();
  a.initialize(1);
  nn::Graph b = a.clone();
  a.node("fc2").module->slots()[1].tensor->data<float>()[3] = 0.0F;
  b.node("fc2").module->slots()[1].tensor->data<float>()[3] = -0.0F;
  EXPECT_EQ(difference_of(a, b), "fc2: bias [3]: 0 in A, -0 in B (1 of 4 elements differ)");
}

TEST(Same, KindsDiffer) {
  nn::Graph graph = nn::residual_net();
  graph.initialize(1);
  const std::optional<Difference> difference = first_difference(canonical_of(sound()), canonical_of(graph));
  ASSERT_TRUE(difference.has_value());
  EXPECT_EQ(to_text(*difference, "A", "B"), "kind: int8 in A, fp32 in B");
}

// Notes, and the way in which a file packs codes, are no part of the model.
TEST(Same, WhatAFileSaysInOneWayOrAnotherDoesNotCount) {
  const Model a = sound();
  Model b = copy(a);
  b.nodes[1].note = "kept in float as asked";
  EXPECT_EQ(difference_of(a, b), "");
  runtime::test::ModelBuilder few(2);
  few.conv(few.quantize(few.input({5, 5, 2})), {.o = 2, .kh = 3, .kw = 3}, false, true, true, 4);
  const CanonicalModel canonical = canonical_of(few.model);
  const auto weight =
      std::ranges::find_if(canonical.tensors, [](const auto& row) { return row.first.ends_with("/weight"); });
  ASSERT_NE(weight, canonical.tensors.end());
  EXPECT_EQ(weight->second.dtype(), DType::S8);
  EXPECT_EQ(weight->second.shape(), Shape({2, 3, 3, 2}));
}

// A digest that stands in a record must not change with the program.
TEST(Same, TheDigestOfAModelStaysWhatItIs) {
  nn::Graph graph;
  graph.output(graph.linear(graph.input({2}), {.out_features = 1, .bias = false, .name = "fc"}));
  graph.initialize(1);
  *graph.node("fc").module->slots()[0].tensor = Tensor::from<float>({1.0F, -2.0F}, {1, 2});
  const CanonicalModel model = canonical_of(graph);
  EXPECT_EQ(
      model.graph.dump(),
      R"({"inputs":[{"name":"input","shape":[2]}],"nodes":[{"inputs":["input"],"kind":"linear","name":"fc",)"
      R"("options":{"bias":false,"in_features":2,"init":"default","out_features":1,"relu":false}}],"output":"fc"})");
  EXPECT_EQ(model_sha256(model), "b5277bf193be605197741b0091a54af6876f21ad0032e326f0ece651a219a373");
}

}  // namespace
}  // namespace detent::interchange::same_test
