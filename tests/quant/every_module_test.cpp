// Every kind of layer on digits: it runs in float, trains on codes, has an int8 form, and ships as it trained. A new
// kind gets a row.
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <set>

#include "detent/data/digits.h"
#include "detent/data/loader.h"
#include "detent/nn/model_file.h"
#include "detent/quant/passes/lower.h"
#include "tests/quant/qat_fixture.h"

namespace detent::every_module_test {
namespace {

using Handle = nn::Graph::Handle;

struct Row {
  std::string name;
  /// What follows a convolution of 4 channels and comes before the classes.
  std::function<Handle(nn::Graph&, Handle)> add;
  /// The modules that have no form on codes, and those behind them that take what they get.
  std::vector<std::string> in_float = {};
};
std::ostream& operator<<(std::ostream& out, const Row& row) { return out << row.name; }

std::vector<Row> rows() {
  std::vector<Row> rows;
  for (const auto& [name, function] : kernels::activation_names()) {
    rows.push_back(
        {std::string(name), [function = function](nn::Graph& net, Handle x) { return net.activation(x, function); }});
  }
  rows.push_back({"softmax", [](nn::Graph& net, Handle x) { return net.softmax(x); }});
  rows.push_back({"softmax_of_a_row", [](nn::Graph& net, Handle x) {
                    return net.softmax(net.linear(net.flatten(x), {.out_features = 50}));
                  }});
  rows.push_back({"concat", [](nn::Graph& net, Handle x) {
                    const Handle y = net.conv2d(x, {.out_channels = 3, .kernel = 1});
                    return net.add(std::make_shared<nn::Concat>(nn::Concat::Options{.inputs = 3}), {x, y, x});
                  }});
  rows.push_back({"add", [](nn::Graph& net, Handle x) {
                    return net.relu(net.add(x, net.conv2d(x, {.out_channels = 4, .kernel = 3, .padding = 1})));
                  }});
  rows.push_back({"batch_norm", [](nn::Graph& net, Handle x) { return net.relu(net.batch_norm(x)); }});
  rows.push_back({"batch_norm_alone",
                  [](nn::Graph& net, Handle x) { return net.batch_norm(net.max_pool(x, {.kernel = 2})); },
                  {"batch_norm1", "flatten1"}});
  rows.push_back({"dropout", [](nn::Graph& net, Handle x) { return net.dropout(x, 0.3); }});
  rows.push_back({"global_average", [](nn::Graph& net, Handle x) { return net.global_avg_pool(x); }});
  rows.push_back({"depthwise", [](nn::Graph& net, Handle x) {
                    return net.conv2d(x, {.out_channels = 4, .kernel = {3, 5}, .padding = {1, 2}, .groups = 4});
                  }});
  rows.push_back({"conv_of_a_wide_window", [](nn::Graph& net, Handle x) {
                    return net.conv2d(x, {.out_channels = 6, .kernel = {2, 5}, .stride = {2, 1}, .dilation = {1, 2}});
                  }});
  rows.push_back({"conv_of_one_sided_pads", [](nn::Graph& net, Handle x) {
                    return net.conv2d(x, {.out_channels = 6, .kernel = 3, .padding = {2, 0, 0, 1}});
                  }});
  rows.push_back({"conv_of_large_one_sided_pads", [](nn::Graph& net, Handle x) {
                    return net.conv2d(x, {.out_channels = 6, .kernel = {1, 3}, .padding = {0, 5, 4, 0}});
                  }});
  rows.push_back(
      {"depthwise_of_one_sided_pads", [](nn::Graph& net, Handle x) {
         return net.conv2d(x, {.out_channels = 4, .kernel = 3, .stride = {1, 2}, .padding = {0, 2, 1, 0}, .groups = 4});
       }});
  const nn::Pool2d::Options wide{.kernel = {2, 3}, .stride = {2, 1}, .padding = {0, 1, 1, 0}};
  rows.push_back({"max_pool", [wide](nn::Graph& net, Handle x) { return net.max_pool(x, wide); }});
  rows.push_back({"average_pool", [wide](nn::Graph& net, Handle x) { return net.avg_pool(x, wide); }});
  return rows;
}

class EveryModule : public testing::TestWithParam<Row> {};

TEST_P(EveryModule, ShipsAsItTrained) {
  static const data::DataSource digits = data::make_digits({.train = 64, .test = 40, .seed = 2});
  nn::Graph net;
  const Handle x = net.conv2d(net.input({28, 28, 1}), {.out_channels = 4, .kernel = 3, .stride = 2, .name = "stem"});
  const Handle y = GetParam().add(net, x);
  net.output(net.linear(net.node(y).shape.rank() == 1 ? y : net.flatten(y), {.out_features = 10, .name = "classes"}));
  net.initialize(1);

  const auto train = [&](nn::Graph& graph) {
    data::Loader loader(digits.train, {.batch = 32});
    loader.begin_epoch(0);
    std::uint64_t step = 0;
    for (data::Batch batch; loader.next(batch); ++step) {
      EXPECT_TRUE(std::isfinite(test::train_step(graph, batch.examples, batch.labels, 0.05F, step)));
    }
    EXPECT_EQ(step, 2U);
  };
  data::Loader loader(digits.test, {.batch = 40});
  loader.begin_epoch(0);
  data::Batch batch;
  ASSERT_TRUE(loader.next(batch));

  train(net);
  const Tensor in_float = test::infer(net, batch.examples), lowered = test::infer(quant::lower(net), batch.examples);
  for (std::size_t i = 0; i < in_float.data<float>().size(); ++i) {
    ASSERT_NEAR(lowered.data<float>()[i], in_float.data<float>()[i], 1e-4) << "float, element " << i;
  }

  nn::Graph qat = quant::prepare_qat(net, quant::QConfigMapping());
  train(qat);
  quant::freeze_observers(qat);
  const quant::Converted converted = quant::convert(qat);
  for (const quant::LedgerRow& row : converted.ledger) {
    const bool is_float = std::ranges::count(GetParam().in_float, row.name) > 0;
    EXPECT_EQ(row.precision, is_float ? "float" : "int8") << row.name << ": " << row.reason;
  }
  evaluation::Verifier verifier(qat, test::through_file(converted.model));
  verifier.feed(batch.examples);
  EXPECT_GT(verifier.report().codes_compared, 40 * 13 * 13);
  EXPECT_EQ(verifier.report().codes_mismatched, 0) << evaluation::to_text(verifier.report());
  EXPECT_EQ(verifier.report().predictions_changed, 0);
  const Tensor fused = test::infer(converted.model, batch.examples), expected = test::infer(qat, batch.examples);
  EXPECT_EQ(std::memcmp(fused.raw(), expected.raw(), fused.bytes()), 0) << "the plan that keeps no values";
}

INSTANTIATE_TEST_SUITE_P(OnDigits, EveryModule, testing::ValuesIn(rows()),
                         [](const auto& parameter) { return parameter.param.name; });

// A row for every kind of module that a graph can have: its nodes stand in one of the networks above.
TEST(EveryModuleOfTheGraph, HasARow) {
  std::set<std::string, std::less<>> kinds{"linear", "conv2d"};
  for (const Row& row : rows()) {
    nn::Graph net;
    row.add(net, net.input({13, 13, 4}));
    for (const nn::Graph::Node& node : net.nodes()) {
      kinds.insert(node.module ? std::string(node.module->kind()) : "");
    }
  }
  for (const auto& [kind, factory] : nn::module_kinds()) {
    EXPECT_TRUE(kinds.contains(kind)) << kind;
  }
}

}  // namespace
}  // namespace detent::every_module_test
