// What stays in float, and why: decided when a graph is prepared, known before training, carried by files.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "detent/nn/fusions.h"
#include "detent/nn/model_file.h"
#include "detent/quant/kinds/quantize.h"
#include "tests/quant/qat_fixture.h"

namespace detent::ledger_test {
namespace {

using test::random_images;
using testing::HasSubstr;

/// The standard kinds, of which sigmoid has no form on codes.
const quant::Kinds& kinds() {
  static const quant::Kinds all = [] {
    quant::Kinds kinds = quant::standard_kinds();
    kinds.at("activation").can_prepare = [](const nn::Module& module) { return nn::is_relu(module); };
    return kinds;
  }();
  return all;
}

/// conv - sigmoid - relu - dropout - sigmoid - conv - batch norm of a sum - linear.
nn::Graph mixed_net() {
  nn::Graph net;
  auto x = net.input({8, 8, 2});
  x = net.conv2d(x, {.out_channels = 4, .kernel = 3, .name = "conv1"});
  x = net.activation(x, kernels::Activation::Sigmoid, "sigmoid1");
  x = net.dropout(net.activation(x, kernels::Activation::Relu, "relu"), 0.1, "dropout");
  x = net.activation(x, kernels::Activation::Sigmoid, "sigmoid2");
  x = net.conv2d(x, {.out_channels = 4, .kernel = 3, .name = "conv2"});
  x = net.batch_norm(net.add(x, x, "sum"), {.name = "norm"});
  net.output(net.linear(net.flatten(x, "flat"), {.out_features = 3, .name = "fc"}));
  net.initialize(1);
  return net;
}

using Rows = std::map<std::string, std::string>;

/// The reasons of what is in float; "!" before those that nobody asked for.
Rows float_rows(const std::vector<quant::LedgerRow>& ledger) {
  Rows rows;
  for (const quant::LedgerRow& row : ledger) {
    if (row.precision == "float") {
      rows[row.name] = (row.is_unasked_float ? "!" : "") + row.reason;
    }
  }
  return rows;
}

nn::Graph calibrated(const nn::Graph& net, const quant::QConfigMapping& mapping) {
  nn::Graph prepared = quant::prepare(net, mapping, kinds());
  test::infer(prepared, random_images(net.input_shape(), 8, 3, -1.0F, 1.0F));
  quant::freeze_observers(prepared);
  return prepared;
}

struct Wish {
  std::string name;
  quant::QConfigMapping mapping;
  std::vector<std::string> at_conversion;
  Rows rows;
};

TEST(Ledger, SaysWhyBeforeTrainingAndAfterFiles) {
  const std::string none = "!has no int8 form", input = "on real numbers because its input is";
  const auto asked = [](const std::string& rule) { return "kept in float as asked by " + rule; };
  const std::vector<Wish> wishes{
      {"nothing asked",
       quant::QConfigMapping(),
       {},
       {{"sigmoid1", none}, {"relu", input}, {"dropout", input}, {"sigmoid2", none}, {"norm", none}, {"flat", input}}},
      {"by name, pattern and kind",
       quant::QConfigMapping()
           .set_name("sigmoid1", std::nullopt)
           .set_pattern("conv*", std::nullopt)
           .set_kind("batch_norm", std::nullopt),
       {},
       {{"conv1", asked("'conv*'")},
        {"sigmoid1", asked("'sigmoid1'")},
        {"relu", input},
        {"dropout", input},
        {"sigmoid2", none},
        {"conv2", asked("'conv*'")},
        {"norm", asked("kind 'batch_norm'")},
        {"flat", input}}},
      {"at conversion",
       quant::QConfigMapping(),
       {"sig*", "norm"},
       {{"sigmoid1", asked("'sig*'")},
        {"relu", input},
        {"dropout", input},
        {"sigmoid2", asked("'sig*'")},
        {"norm", asked("'norm'")},
        {"flat", input}}},
  };
  const nn::Graph net = mixed_net();
  for (const Wish& wish : wishes) {
    SCOPED_TRACE(wish.name);
    const bool passes = std::ranges::none_of(wish.rows, [](const auto& row) { return row.second[0] == '!'; });
    const auto expect = [&](const std::vector<quant::LedgerRow>& ledger, const std::string& when) {
      EXPECT_EQ(float_rows(ledger), wish.rows) << when;
      EXPECT_EQ(error_of([&] { quant::check_strict(ledger); }) == "no error", passes) << when;
    };
    expect(quant::ledger_of(quant::prepare_qat(net, wish.mapping, kinds()), wish.at_conversion, kinds()),
           "before training");
    expect(quant::ledger_of(quant::prepare(net, wish.mapping, kinds()), wish.at_conversion, kinds()),
           "before calibration");
    const nn::Graph prepared = calibrated(net, wish.mapping);
    expect(quant::convert(prepared, wish.at_conversion, kinds()).ledger, "converted");
    const TempFolder folder;
    const auto file = folder / "ledger.h5";
    nn::save_model({.graph = prepared, .kind = "qat"}, file);
    const nn::Model read = nn::load_model(file, quant::factories_of());
    expect(quant::convert(read.graph, wish.at_conversion, kinds()).ledger, "read from a file and converted");
  }
}

TEST(Ledger, OfAGraphWithoutNotesTellsWhatItCan) {
  nn::Graph prepared =
      calibrated(mixed_net(), quant::QConfigMapping().set_name("conv1", std::nullopt).set_name("norm", std::nullopt));
  for (std::size_t i = 1; i < prepared.nodes().size(); ++i) {
    prepared.note({i}, "");
  }
  const std::string before = "kept in float when it was prepared", none = "!has no int8 form";
  EXPECT_EQ(float_rows(quant::convert(prepared, {}, kinds()).ledger), (Rows{{"conv1", before},
                                                                            {"sigmoid1", none},
                                                                            {"relu", before},
                                                                            {"dropout", before},
                                                                            {"sigmoid2", none},
                                                                            {"norm", none},
                                                                            {"flat", before}}));
  EXPECT_EQ(error_of([&] {
              quant::check_strict(quant::convert(prepared, {"sig*", "norm"}, kinds()).ledger);
            }),
            "no error");
}

/// Two linear layers that read one real value, whose activations `a` and `b` configure.
nn::Graph two_readers(const quant::QConfig& a, const quant::QConfig& b) {
  nn::Graph net;
  const auto x = net.input({12});
  const auto left = net.linear(x, {.out_features = 3, .name = "left"});
  net.output(net.add(left, net.linear(x, {.out_features = 3, .name = "right"}), "sum"));
  net.initialize(4);
  return quant::prepare_qat(net, quant::QConfigMapping().set_name("left", a).set_name("right", b));
}

const quant::Quantize& quantize_of(const nn::Graph& graph, const std::string& reader) {
  return dynamic_cast<quant::Quantize&>(*graph.node(graph.node(reader).inputs[0]).module);
}

TEST(Prepare, EveryReaderOfARealValueGetsTheCodesItAsksFor) {
  quant::QConfig eight, four, current;
  four.activation.grid.bits = 4;
  current.range = quant::RangeUse::Current;
  for (const quant::QConfig& other : {four, current}) {
    nn::Graph qat = two_readers(eight, other);
    EXPECT_EQ(quantize_of(qat, "left").name(), "input_quantize");
    EXPECT_EQ(quantize_of(qat, "right").name(), "input_quantize2");
    test::train_step(qat, random_images({12}, 5, 1, -1.0F, 1.0F), test::random_labels(5, 3, 1), 0.1F);
    quant::freeze_observers(qat);
    std::map<std::string, int> largest;
    test::infer(qat, random_images({12}, 50, 1, -1.0F, 1.0F), [&](const nn::Graph::Node& node, const nn::Variable& y) {
      if (y.value().qparams()) {
        largest[node.name] = std::ranges::max(y.value().data<std::uint8_t>());
      }
    });
    EXPECT_EQ(largest["input_quantize"], 255);
    EXPECT_EQ(largest["input_quantize2"], other.activation.grid.bits == 4 ? 15 : 255);
    evaluation::Verifier verifier(qat, quant::convert(qat).model);
    verifier.feed(random_images({12}, 20, 9, -1.0F, 1.0F));
    EXPECT_EQ(verifier.report().codes_mismatched, 0) << evaluation::to_text(verifier.report());
  }
  quant::QConfig of_weights;
  of_weights.weight.grid.bits = 4;
  const nn::Graph shared = two_readers(eight, of_weights);
  EXPECT_EQ(&quantize_of(shared, "left"), &quantize_of(shared, "right")) << "equal activations share their codes";
}

TEST(Prepare, NamesThatItMakesAreFree) {
  nn::Graph net;
  auto x = net.input({4});
  x = net.linear(x, {.out_features = 4, .name = "input_quantize"});
  net.output(net.linear(x, {.out_features = 2, .name = "fc"}));
  net.initialize(1);
  const nn::Graph qat = quant::prepare_qat(net, quant::QConfigMapping());
  EXPECT_EQ(qat.node("input_quantize2").module->kind(), "quantize");
  EXPECT_EQ(qat.node("input_quantize").module->kind(), "qat_linear");
}

}  // namespace
}  // namespace detent::ledger_test
