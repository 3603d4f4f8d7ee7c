// A module that stands at several nodes is one parameter, in every list, pass and file.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "detent/nn/fuse_relu.h"
#include "detent/nn/model_file.h"
#include "tests/nn/nets.h"

namespace detent::nn::shared_module_test {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::shared_ptr<Linear> square() { return std::make_shared<Linear>(Linear::Options{.out_features = 4}); }

/// y = fc(relu(fc(x))), then a head: `fc` stands at the nodes "first" and "second".
Graph shared_net() {
  Graph net;
  const auto fc = square();
  auto x = net.relu(net.add(fc, {net.input({4})}, "first"));
  x = net.add(fc, {x}, "second");
  net.output(net.linear(x, {.out_features = 2, .name = "head"}));
  return net;
}

/// The same with two modules.
Graph parted_net() {
  Graph net;
  auto x = net.relu(net.linear(net.input({4}), {.out_features = 4, .name = "first"}));
  x = net.linear(x, {.out_features = 4, .name = "second"});
  net.output(net.linear(x, {.out_features = 2, .name = "head"}));
  return net;
}

std::vector<std::string> names_of(Graph& net) {
  std::vector<std::string> names;
  for (const NamedParameter& named : net.parameters()) {
    names.push_back(named.name);
  }
  return names;
}

const Tensor& gradient_of(Graph& net, const std::string& name) {
  for (const NamedParameter& named : net.parameters()) {
    if (named.name == name) {
      return named.parameter->gradient;
    }
  }
  fail("no parameter ", name);
}

void copy_values(Graph& from, Graph& to, const std::string& from_node, const std::string& to_node) {
  const std::vector<Slot> source = from.node(from_node).module->slots();
  const std::vector<Slot> target = to.node(to_node).module->slots();
  for (std::size_t i = 0; i < source.size(); ++i) {
    *target[i].tensor = source[i].tensor->clone();
  }
}

bool is_shared(const Graph& net) { return net.node("first").module == net.node("second").module; }

TEST(SharedModule, IsOneParameter) {
  Graph net = shared_net();
  EXPECT_THAT(names_of(net), ElementsAre("first.weight", "first.bias", "head.weight", "head.bias"));
  EXPECT_EQ(net.parameter_count(), 20 + 10);
  EXPECT_EQ(net.node("second").module->name(), "first");
  EXPECT_THAT(summary(net), AllOf(HasSubstr("of first"), HasSubstr("total                                 30")));
}

TEST(SharedModule, IsInitializedOnceByTheNameOfItsFirstNode) {
  Graph net = shared_net();
  Graph parted = parted_net();
  net.initialize(7);
  parted.initialize(7);
  for (const char* node : {"first", "head"}) {
    for (const std::size_t slot : {0U, 1U}) {
      EXPECT_EQ(
          difference(*parted.node(node).module->slots()[slot].tensor, *net.node(node).module->slots()[slot].tensor), "")
          << node << ", slot " << slot;
    }
  }
}

TEST(SharedModule, GradientsOfItsUsesAddUp) {
  Graph net = shared_net();
  Graph parted = parted_net();
  net.initialize(7);
  copy_values(net, parted, "first", "first");
  copy_values(net, parted, "first", "second");
  copy_values(net, parted, "head", "head");
  const Tensor x = random_tensor({5, 4}, 1);
  const Tensor target = random_tensor({5, 2}, 2);
  EXPECT_EQ(train_step(parted, x, target, 0.0F), train_step(net, x, target, 0.0F));
  for (const char* slot : {".weight", ".bias"}) {
    const auto first = gradient_of(parted, std::string("first") + slot).data<float>();
    const auto second = gradient_of(parted, std::string("second") + slot).data<float>();
    const auto both = gradient_of(net, std::string("first") + slot).data<float>();
    for (std::size_t i = 0; i < both.size(); ++i) {
      EXPECT_EQ(both[i], first[i] + second[i]) << slot << ", element " << i;
    }
  }
}

TEST(SharedModule, StaysSharedInClones) {
  Graph net = shared_net();
  net.initialize(7);
  Graph copy = net.clone();
  EXPECT_TRUE(is_shared(copy));
  EXPECT_NE(copy.node("first").module, net.node("first").module);
  const Tensor x = random_tensor({5, 4}, 1);
  const Tensor target = random_tensor({5, 2}, 2);
  for (std::uint64_t step = 0; step < 3; ++step) {
    EXPECT_EQ(train_step(net, x, target, 0.1F, step), train_step(copy, x, target, 0.1F, step)) << "step " << step;
  }
}

TEST(SharedModule, StaysSharedInFiles) {
  Graph net = shared_net();
  net.initialize(7);
  const TensorFile file = to_file({.graph = net});
  EXPECT_EQ(json::parse(file.text("graph"))["nodes"][2],
            json::parse(R"({"name": "second", "inputs": ["relu1"], "shares": "first"})"));
  std::vector<std::string> tensors;
  for (const auto& [name, tensor] : file.tensors) {
    tensors.push_back(name);
  }
  EXPECT_THAT(tensors, ElementsAre("parameters/first/bias", "parameters/first/weight", "parameters/head/bias",
                                   "parameters/head/weight"));
  Graph again = from_file(file, module_kinds()).graph;
  EXPECT_TRUE(is_shared(again));
  EXPECT_EQ(to_json(again), to_json(net));
  const Tensor x = random_tensor({5, 4}, 1);
  EXPECT_EQ(difference(evaluate(net, x), evaluate(again, x)), "");
}

// Files without sharing keep their bytes.
TEST(SharedModule, ChangesNothingElsewhere) {
  Graph net;
  net.output(net.relu(net.linear(net.input({3}), {.out_features = 2, .name = "fc"})));
  EXPECT_EQ(to_json(net).dump(),
            R"({"input":[3],"nodes":[{"inputs":["input"],"kind":"linear","name":"fc","options":{"bias":true,)"
            R"("in_features":3,"init":"default","out_features":2,"relu":false}},{"inputs":["fc"],"kind":"activation",)"
            R"("name":"relu1","options":{"function":"relu"}}],"output":"relu1"})");
}

TEST(SharedModule, RefusesDamagedJson) {
  const json good = to_json(shared_net());
  const auto error = [&](const char* pointer, const json& value) {
    json bad = good;
    bad[json::json_pointer(pointer)] = value;
    return error_of([&] { graph_from_json(bad, module_kinds()); });
  };
  EXPECT_THAT(error("/nodes/2/shares", "nobody"), HasSubstr("no node named 'nobody'"));
  EXPECT_THAT(error("/nodes/2/shares", "head"), HasSubstr("no node named 'head'")) << "it stands behind";
  EXPECT_THAT(error("/nodes/2/shares", "input"), HasSubstr("second: shares: 'input' is an input"));
  EXPECT_THAT(error("/nodes/2/shares", 3), HasSubstr("shares: expected a text"));
  EXPECT_THAT(error("/nodes/2/kind", "linear"), HasSubstr("unknown key 'kind'"));
}

TEST(SharedModule, MustFitAtEveryNode) {
  Graph net;
  const auto x = net.input({10});
  const auto wide = net.linear(x, {.out_features = 20, .name = "wide"});
  const auto fc = square();
  net.add(fc, {x}, "narrow_use");
  EXPECT_THAT(error_of([&] { net.add(fc, {wide}, "wide_use"); }),
              AllOf(HasSubstr("wide_use"), HasSubstr("narrow_use"), HasSubstr("expected 10 input features, got [20]")));
  EXPECT_EQ(net.nodes().size(), 3U) << "a refused call must leave nothing behind";
}

/// A module that takes its extent from the last node that it was added at.
class Forgetful : public Module {
 public:
  std::string_view kind() const override { return "forgetful"; }
  json options() const override { return json::object(); }
  void bind(std::span<const Shape> inputs) override { extent_ = inputs[0][0]; }
  Shape output_shape(std::span<const Shape>) const override { return {extent_}; }
  Variable forward(Context&, std::span<const Variable> inputs) override { return inputs[0]; }

 private:
  std::int64_t extent_ = 0;
};

TEST(SharedModule, MayNotChangeTheShapeOfAnEarlierNode) {
  Graph net;
  const auto x = net.input({10});
  const auto wide = net.linear(x, {.out_features = 20, .name = "wide"});
  const auto module = std::make_shared<Forgetful>();
  net.add(module, {x}, "one");
  EXPECT_THAT(error_of([&] { net.add(module, {wide}, "two"); }),
              AllOf(HasSubstr("two"), HasSubstr("one"), HasSubstr("[10]"), HasSubstr("[20]")));
}

TEST(SharedModule, ImagesMayDifferInSize) {
  Graph net;
  const auto conv = std::make_shared<Conv2d>(Conv2d::Options{.out_channels = 2, .kernel = 3});
  auto x = net.add(conv, {net.input({8, 8, 2})}, "first");
  x = net.add(conv, {x}, "second");
  net.initialize(1);
  EXPECT_EQ(net.output_shape(), (Shape{4, 4, 2}));
  EXPECT_EQ(evaluate(net, random_tensor({3, 8, 8, 2}, 1)).shape(), (Shape{3, 4, 4, 2}));
}

// Independent masks at each use, as if there were two modules.
TEST(SharedModule, DropoutDrawsAMaskANode) {
  const auto values = [](bool shared) {
    Graph net;
    const auto x = net.input({100});
    const auto first = std::make_shared<Dropout>(Dropout::Options{.p = 0.5});
    net.add(first, {x}, "one");
    net.add(shared ? first : std::make_shared<Dropout>(Dropout::Options{.p = 0.5}), {x}, "two");
    Tape tape;
    Context context{.tape = tape, .training = true, .seed = 3, .step = 4};
    std::map<std::string, Tensor> by_name;
    net.forward(context, tape.constant(Tensor::full({2, 100}, DType::F32, 1.0)),
                [&](const Graph::Node& node, const Variable& value) { by_name[node.name] = value.value(); });
    return by_name;
  };
  const auto shared = values(true);
  const auto parted = values(false);
  EXPECT_NE(difference(shared.at("one"), shared.at("two")), "");
  EXPECT_EQ(difference(parted.at("one"), shared.at("one")), "");
  EXPECT_EQ(difference(parted.at("two"), shared.at("two")), "");
}

/// `fc` at two nodes; behind the first a ReLU, behind the second a ReLU if `both`.
Graph net_to_fuse(bool both) {
  Graph net;
  const auto fc = square();
  auto x = net.relu(net.add(fc, {net.input({4})}, "first"));
  x = net.add(fc, {x}, "second");
  x = both ? net.relu(x) : net.activation(x, kernels::Activation::Tanh);
  net.output(net.linear(x, {.out_features = 2, .name = "head"}));
  return net;
}

TEST(SharedModule, IsFusedWithItsRelusOnlyWhereAllUsesHaveOne) {
  for (const bool both : {false, true}) {
    Graph net = net_to_fuse(both);
    net.initialize(3);
    Graph other = net.clone();
    Graph fused = fuse_relu(other);
    EXPECT_EQ(fused.nodes().size(), both ? 4U : 6U) << "both: " << both;
    EXPECT_TRUE(is_shared(fused)) << "both: " << both;
    EXPECT_EQ(static_cast<const Linear&>(*fused.node("first").module).settings().relu, both);
    EXPECT_EQ(names_of(fused), names_of(net)) << "both: " << both;
    const Tensor x = random_tensor({5, 4}, 1);
    const Tensor target = random_tensor({5, 2}, 2);
    for (std::uint64_t step = 0; step < 4; ++step) {
      EXPECT_EQ(train_step(net, x, target, 0.1F, step), train_step(fused, x, target, 0.1F, step))
          << "both: " << both << ", step " << step;
    }
    EXPECT_EQ(difference(evaluate(net, x), evaluate(other, x)), "") << "both graphs must own the same weights";
  }
}

}  // namespace
}  // namespace detent::nn::shared_module_test
