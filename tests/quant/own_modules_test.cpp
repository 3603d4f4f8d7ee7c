// What the passes make of graphs and modules that are not the library's float ones: graphs that are quantized already,
// modules of a user's own, one module at several nodes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "detent/kernels/codes/quantize.h"
#include "detent/nn/model_file.h"
#include "detent/quant/kinds/qat_product.h"
#include "detent/quant/passes/lower.h"
#include "detent/quant/passes/open_model.h"
#include "detent/quant/passes/preparation.h"
#include "tests/quant/qat_fixture.h"

namespace detent::own_modules_test {
namespace {

using test::random_images;
using test::random_labels;
using testing::HasSubstr;

nn::Graph initialized(nn::Graph net) {
  net.initialize(1);
  return net;
}

void train(nn::Graph& graph, int steps = 2) {
  for (int step = 0; step < steps; ++step) {
    const auto seed = static_cast<std::uint64_t>(step);
    test::train_step(graph, random_images(graph.input_shape(), 6, seed, -1.0F, 1.0F),
                     random_labels(6, graph.output_shape().elements(), seed), 0.05F, seed);
  }
}

nn::Graph trained_qat(const nn::Graph& net, const quant::Kinds& kinds = quant::standard_kinds()) {
  nn::Graph qat = quant::prepare_qat(net, quant::QConfigMapping(), kinds);
  train(qat);
  quant::freeze_observers(qat);
  return qat;
}

std::int64_t mismatches(const nn::Graph& prepared, const runtime::Model& int8) {
  evaluation::Verifier verifier(prepared, int8);
  verifier.feed(random_images(prepared.input_shape(), 20, 77, -1.2F, 1.2F));
  const evaluation::VerifyReport report = verifier.report();
  return report.codes_mismatched + report.predictions_changed;
}

/// y = x * factor, element by element of the last axis' channels; a module that the library does not know.
class Scale : public nn::Module {
 public:
  explicit Scale(std::string kind = "my_scale") : kind_(std::move(kind)) {}
  std::string_view kind() const override { return kind_; }
  nlohmann::json options() const override {
    return kind_ == "conv2d"   ? nlohmann::json{{"out_channels", 2}}
           : kind_ == "linear" ? nlohmann::json{{"out_features", 2}}
                               : nlohmann::json::object();
  }
  static std::shared_ptr<nn::Module> from_options(const nlohmann::json&) { return std::make_shared<Scale>(); }
  Shape output_shape(std::span<const Shape> inputs) const override { return inputs[0]; }
  void bind(std::span<const Shape> inputs) override { shape_ = inputs[0]; }
  nn::Variable forward(nn::Context& context, std::span<const nn::Variable> inputs) override {
    std::vector<nn::Variable> rows;
    nn::Variable y = autograd::mul(inputs[0], batched(context, inputs[0].shape()[0]));
    return y;
  }
  std::vector<nn::Slot> slots() override { return {{"factor", &factor_.value, &factor_, shape_}}; }
  void initialize(RandomStream&) override { factor_.value = Tensor::full(shape_, DType::F32, 1.5); }

 private:
  nn::Variable batched(nn::Context& context, std::int64_t count) {
    const nn::Variable factor = nn::on_tape(context, *this, factor_);
    const std::int64_t elements = shape_.elements();
    Tensor copies = Tensor::empty(shape_.batched(count), DType::F32);
    for (std::int64_t i = 0; i < count * elements; ++i) {
      copies.data<float>()[static_cast<std::size_t>(i)] =
          factor.value().data<float>()[static_cast<std::size_t>(i % elements)];
    }
    return context.tape.record("my_scale", std::move(copies), {factor}, [shape = shape_](autograd::Backward& backward) {
      backward.grad(0, [&] {
        Tensor sum = Tensor::zeros(shape, DType::F32);
        const std::span<const float> dy = backward.dy().data<float>();
        for (std::size_t i = 0; i < dy.size(); ++i) {
          sum.data<float>()[i % sum.data<float>().size()] += dy[i];
        }
        return sum;
      });
    });
  }
  std::string kind_;
  Shape shape_{1};
  nn::Parameter factor_;
};

nn::Graph net_around(std::shared_ptr<nn::Module> own) {
  nn::Graph net;
  auto x = net.input({6, 6, 2});
  x = net.relu(net.conv2d(x, {.out_channels = 4, .kernel = 3, .name = "conv"}));
  x = net.flatten(net.add(std::move(own), {x}, "own"));
  net.output(net.linear(x, {.out_features = 3, .name = "fc"}));
  net.initialize(3);
  return net;
}

quant::Kinds kinds_with_scale() {
  quant::Kinds kinds = quant::standard_kinds();
  kinds.emplace("my_scale", quant::kind_of_class<Scale>());
  return kinds;
}

TEST(PassInputs, QuantizedGraphsAreNotQuantizedAgain) {
  const nn::Graph net = initialized(test::everything_net());
  const nn::Graph prepared = trained_qat(net);
  const quant::QConfigMapping mapping;
  const std::string again = "prepare: input_quantize (quantize) is of a prepared graph; pass the float";
  EXPECT_THAT(error_of([&] { quant::prepare(prepared, mapping); }), HasSubstr(again));
  EXPECT_THAT(error_of([&] { quant::prepare_qat(prepared, mapping); }), HasSubstr(again));
  EXPECT_THAT(error_of([&] { quant::lower(prepared); }),
              HasSubstr("lower: input_quantize (quantize) is of a prepared graph"));
  EXPECT_THAT(error_of([&] { quant::convert(net); }), HasSubstr("conv1 (conv2d) was never prepared; pass the graph"));
  EXPECT_THAT(error_of([&] { quant::ledger_of(net); }), HasSubstr("conv1 (conv2d) was never prepared"));
}

TEST(PassInputs, AGraphThatIsKeptInFloatAltogetherConverts) {
  const nn::Graph net = initialized(test::plain_net());
  nn::Graph prepared = quant::prepare_qat(net, quant::QConfigMapping(std::nullopt));
  train(prepared);
  quant::freeze_observers(prepared);
  const quant::Converted converted = quant::convert(prepared);
  ASSERT_EQ(converted.ledger.size(), 5U);
  for (const quant::LedgerRow& row : converted.ledger) {
    EXPECT_EQ(row.reason, "kept in float as asked of all without a rule") << row.name;
    EXPECT_FALSE(row.is_unasked_float) << row.name;
  }
  EXPECT_EQ(mismatches(prepared, converted.model), 0);
}

TEST(OwnModule, WithoutARowIsNamedAndTheMendSaid) {
  const nn::Graph net = net_around(std::make_shared<Scale>());
  const std::string text =
      "own: the kinds have no row 'my_scale'; pass a copy of quant::standard_kinds() with a row for it";
  EXPECT_THAT(error_of([&] { quant::prepare_qat(net, quant::QConfigMapping()); }), HasSubstr(text));
  EXPECT_THAT(error_of([&] { quant::prepare(net, quant::QConfigMapping()); }), HasSubstr(text));
  const nn::Graph prepared = trained_qat(net, kinds_with_scale());
  EXPECT_THAT(error_of([&] { quant::convert(prepared); }), HasSubstr(text));
}

TEST(OwnModule, OfAKnownKindsNameIsNotTakenForOne) {
  for (const std::string kind : {"conv2d", "linear", "activation", "batch_norm", "dropout", "max_pool2d", "add"}) {
    const nn::Graph net = net_around(std::make_shared<Scale>(kind));
    EXPECT_THAT(error_of([&] { quant::prepare_qat(net, quant::QConfigMapping()); }),
                HasSubstr("own: the kinds' row '" + kind + "' is of modules of another class"));
  }
}

TEST(OwnModule, StaysInFloatBetweenQuantizedOnes) {
  const quant::Kinds kinds = kinds_with_scale();
  nn::Graph net = net_around(std::make_shared<Scale>());
  const nn::Graph prepared = trained_qat(net, kinds);
  EXPECT_EQ(net.node("own").module->slots()[0].tensor->data<float>()[0], 1.5F) << "the float graph is not trained";
  EXPECT_NE(prepared.node("own").module->slots()[0].tensor->data<float>()[0], 1.5F) << "the copy is";
  const quant::Converted converted = quant::convert(prepared, {}, kinds);
  for (const quant::LedgerRow& row : converted.ledger) {
    EXPECT_EQ(row.precision, row.name == "own" ? "float" : row.name == "flatten1" ? row.precision : "int8") << row.name;
    EXPECT_EQ(row.is_unasked_float, row.name == "own") << row.name;
  }
  EXPECT_EQ(mismatches(prepared, converted.model), 0);

  const TempFolder folder;
  nn::save_model({.graph = prepared, .kind = "qat"}, folder / "own_qat.h5");
  runtime::save_model({.model = converted.model}, folder / "own_int8.h5");
  const nn::Model read_qat = nn::load_model(folder / "own_qat.h5", quant::factories_of(kinds));
  const runtime::Model read_int8 = *quant::open_model(folder / "own_int8.h5", kinds).model();
  EXPECT_THAT(error_of([&] { quant::open_model(folder / "own_int8.h5"); }),
              HasSubstr("own: unknown kind 'my_scale'; pass custom_ops_of a copy of quant::standard_kinds()"));
  EXPECT_THAT(error_of([&] { runtime::load_model(folder / "own_int8.h5"); }),
              HasSubstr("own: kind 'my_scale': this program has no custom operations"));
  EXPECT_EQ(mismatches(read_qat.graph, read_int8), 0);
  EXPECT_EQ(mismatches(read_qat.graph, quant::convert(read_qat.graph, {}, kinds).model), 0);

  const Tensor images = random_images({6, 6, 2}, 9, 5);
  nn::Graph fake_quantized = read_qat.graph;
  const Tensor planned = test::infer(read_int8, images);
  const Tensor expected = test::infer(fake_quantized, images);
  for (std::size_t i = 0; i < 27; ++i) {
    EXPECT_EQ(planned.data<float>()[i], expected.data<float>()[i]) << "element " << i;
  }
}

/// y = min(x, 1): a module of one's own that has an int8 form. Its codes never pass that of 1.
class Cap : public nn::Module {
 public:
  explicit Cap(bool on_codes) : on_codes_(on_codes) {}
  std::string_view kind() const override { return on_codes_ ? "code_cap" : "my_cap"; }
  nlohmann::json options() const override { return nlohmann::json::object(); }
  Shape output_shape(std::span<const Shape> inputs) const override { return inputs[0]; }
  nn::Variable forward(nn::Context& context, std::span<const nn::Variable> inputs) override {
    Tensor y = inputs[0].value().clone();
    if (const std::shared_ptr<const QParams>& map = inputs[0].value().qparams()) {
      for (std::uint8_t& q : y.data<std::uint8_t>()) {
        q = table_of(*map)[q];
      }
    } else {
      for (float& x : y.data<float>()) {
        x = std::min(x, 1.0F);
      }
    }
    return context.tape.record("cap", y.with_qparams(inputs[0].value().qparams()), {inputs[0]},
                               [](autograd::Backward& backward) { backward.grad(0, [&] { return backward.dy(); }); });
  }
  static std::vector<std::uint8_t> table_of(const QParams& map) {
    std::vector<std::uint8_t> table(256);
    for (int q = 0; q < 256; ++q) {
      table[static_cast<std::size_t>(q)] =
          static_cast<std::uint8_t>(std::min(std::min(q, map.codes.qmax), quantize(1.0F, map.tensor(), map.codes)));
    }
    return table;
  }

 private:
  bool on_codes_;
};
struct FloatCap : Cap {
  FloatCap() : Cap(false) {}
  static std::shared_ptr<nn::Module> from_options(const nlohmann::json&) { return std::make_shared<FloatCap>(); }
};
struct CodeCap : Cap {
  CodeCap() : Cap(true) {}
  static std::shared_ptr<nn::Module> from_options(const nlohmann::json&) { return std::make_shared<CodeCap>(); }
};

TEST(OwnModule, HasAnInt8FormByItsRows) {
  quant::Kind in_float = quant::kind_of_class<FloatCap>();
  in_float.prepare = [](quant::Preparation& pass, std::size_t node, const quant::QConfig& config) {
    quant::prepare_on_codes(pass, node, config, std::make_shared<CodeCap>());
  };
  quant::Kind on_codes = quant::kind_of_class<CodeCap>();
  on_codes.is_prepared = true;
  on_codes.keeps_map = true;
  on_codes.lower = [](const nn::Graph::Node&, std::span<const runtime::ValueType> inputs) {
    return quant::Lowered{.op = runtime::Lookup{.table = Tensor::from(Cap::table_of(*inputs[0].qparams), {256})}};
  };
  quant::Kinds kinds = quant::standard_kinds();
  kinds.emplace("my_cap", in_float);
  kinds.emplace("code_cap", on_codes);

  const nn::Graph prepared = trained_qat(net_around(std::make_shared<FloatCap>()), kinds);
  EXPECT_EQ(prepared.node("own").module->kind(), "code_cap");
  const quant::Converted converted = quant::convert(prepared, {}, kinds);
  for (const quant::LedgerRow& row : converted.ledger) {
    EXPECT_EQ(row.precision, "int8") << row.name;
  }
  EXPECT_EQ(mismatches(prepared, converted.model), 0);
  EXPECT_EQ(mismatches(prepared, test::through_file(converted.model)), 0) << "the file knows nothing of caps";
}

/// One convolution at two nodes; each use with what `after` puts behind it.
template <typename After>
nn::Graph twice(After&& after, const std::shared_ptr<nn::Module>& shared) {
  nn::Graph net;
  auto x = net.input({8, 8, 3});
  x = net.conv2d(x, {.out_channels = 4, .kernel = 3, .padding = 1, .name = "first"});
  x = after(net, net.add(shared, {x}, "a"), 0);
  x = after(net, net.add(shared, {x}, "b"), 1);
  net.output(net.linear(net.global_avg_pool(x), {.out_features = 3, .name = "fc"}));
  net.initialize(2);
  return net;
}

std::shared_ptr<nn::Module> square_conv() {
  return std::make_shared<nn::Conv2d>(nn::Conv2d::Options{.out_channels = 4, .kernel = 3, .padding = 1});
}

TEST(SharedModule, StaysOneThroughThePasses) {
  const auto norm = std::make_shared<nn::BatchNorm>(nn::BatchNorm::Options{});
  struct Case {
    std::string name;
    std::function<nn::Graph::Handle(nn::Graph&, nn::Graph::Handle, int)> after;
    std::string kind_of_b, after_a;
  };
  const std::vector<Case> cases{
      {"nothing", [](nn::Graph&, nn::Graph::Handle x, int) { return x; }, "", ""},
      {"relu at both: fused", [](nn::Graph& net, nn::Graph::Handle x, int) { return net.relu(x); }, "", ""},
      {"relu at one: not fused",
       [](nn::Graph& net, nn::Graph::Handle x, int use) { return use == 0 ? net.relu(x) : x; }, "relu1", "code_relu"},
      {"one batch norm at both: fused",
       [&](nn::Graph& net, nn::Graph::Handle x, int use) { return net.relu(net.add(norm, {x}, use ? "n2" : "n1")); },
       "", ""},
      {"two batch norms: in float",
       [](nn::Graph& net, nn::Graph::Handle x, int use) { return net.batch_norm(x, {.name = use ? "n2" : "n1"}); },
       "n1", "batch_norm"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const nn::Graph net = twice(c.after, square_conv());
    const nn::Graph prepared = trained_qat(net);
    EXPECT_EQ(prepared.node("a").module, prepared.node("b").module) << "prepare parted one weight";
    EXPECT_EQ(prepared.node("a").module->kind(), "qat_conv2d");
    EXPECT_NE(prepared.node("a").module, net.node("a").module);
    if (!c.kind_of_b.empty()) {
      EXPECT_EQ(prepared.node(c.kind_of_b).module->kind(), c.after_a);
    } else {
      EXPECT_EQ(std::ranges::count(prepared.nodes(), "n1", &nn::Graph::Node::name), 0);
    }
    EXPECT_EQ(mismatches(prepared, quant::convert(prepared).model), 0);
    nn::Graph statically = quant::prepare(net, quant::QConfigMapping());
    test::infer(statically, random_images({8, 8, 3}, 12, 4, -1.0F, 1.0F));
    quant::freeze_observers(statically);
    EXPECT_EQ(mismatches(statically, quant::convert(statically).model), 0);
  }
}

TEST(SharedModule, InFloatStaysOne) {
  const auto after = [](nn::Graph& net, nn::Graph::Handle x, int) { return net.relu(x); };
  quant::QConfigMapping mapping;
  mapping.set_name("a", std::nullopt).set_name("b", std::nullopt);
  nn::Graph prepared = quant::prepare_qat(twice(after, square_conv()), mapping);
  EXPECT_EQ(prepared.node("a").module, prepared.node("b").module);
  train(prepared);
  quant::freeze_observers(prepared);
  runtime::Model converted = quant::convert(prepared).model;
  EXPECT_EQ(test::op_of<runtime::Product>(converted, "a").weight.dtype(), DType::F32);
  EXPECT_EQ(mismatches(prepared, converted), 0);
}

TEST(SharedModule, QuantizedInTwoWaysIsRefusedByName) {
  const nn::Graph net = twice([](nn::Graph&, nn::Graph::Handle x, int) { return x; }, square_conv());
  quant::QConfig four;
  four.weight.grid.bits = 4;
  for (const std::optional<quant::QConfig>& other : {std::optional(four), std::optional<quant::QConfig>()}) {
    EXPECT_THAT(error_of([&] { quant::prepare_qat(net, quant::QConfigMapping().set_name("b", other)); }),
                HasSubstr("prepare: a and b are one module, and the mapping quantizes them in two ways"));
  }
}

TEST(SharedModule, ABatchNormBehindTwoConvolutionsIsNotParted) {
  const auto norm = std::make_shared<nn::BatchNorm>(nn::BatchNorm::Options{});
  nn::Graph net;
  auto x = net.input({6, 6, 2});
  x = net.add(norm, {net.conv2d(x, {.out_channels = 4, .kernel = 3, .name = "one"})}, "n1");
  x = net.add(norm, {net.conv2d(x, {.out_channels = 4, .kernel = 3, .name = "two"})}, "n2");
  net.output(net.linear(net.global_avg_pool(x), {.out_features = 3, .name = "fc"}));
  net.initialize(2);
  const nn::Graph prepared = trained_qat(net);
  EXPECT_EQ(prepared.node("n1").module, prepared.node("n2").module);
  EXPECT_EQ(mismatches(prepared, quant::convert(prepared).model), 0);
}

TEST(FreezeBatchNorm, HoldsForOneThatWasNotFused) {
  nn::Graph net;
  auto x = net.input({6, 6, 2});
  x = net.conv2d(x, {.out_channels = 4, .kernel = 3, .name = "conv"});
  x = net.batch_norm(net.add(x, x, "sum"), {.name = "norm"});
  net.output(net.linear(net.global_avg_pool(x), {.out_features = 3, .name = "fc"}));
  net.initialize(2);
  nn::Graph qat = quant::prepare_qat(net, quant::QConfigMapping());
  train(qat);
  const auto norm = [](const nn::Graph& graph) {
    return std::dynamic_pointer_cast<nn::BatchNorm>(graph.node("norm").module);
  };
  ASSERT_NE(norm(qat), nullptr) << "not fused";
  quant::freeze_batch_norm(qat);
  const TempFolder folder;
  nn::save_model({.graph = qat, .kind = "qat"}, folder / "frozen.h5");
  nn::Model read = nn::load_model(folder / "frozen.h5", quant::factories_of());
  for (nn::Graph* graph : {&qat, &read.graph}) {
    const Tensor mean = norm(*graph)->running_mean().clone(), variance = norm(*graph)->running_variance().clone();
    const Tensor gamma = norm(*graph)->weight().value.clone();
    train(*graph, 1);
    for (std::size_t c = 0; c < 4; ++c) {
      EXPECT_EQ(norm(*graph)->running_mean().data<float>()[c], mean.data<float>()[c]) << "channel " << c;
      EXPECT_EQ(norm(*graph)->running_variance().data<float>()[c], variance.data<float>()[c]) << "channel " << c;
      EXPECT_NE(norm(*graph)->weight().value.data<float>()[c], gamma.data<float>()[c]) << "gamma goes on learning";
    }
  }
  nn::Graph other = quant::prepare_qat(net, quant::QConfigMapping());
  train(other);
  EXPECT_FALSE(norm(other)->settings().frozen);
  quant::freeze_observers(other);
  EXPECT_TRUE(norm(other)->settings().frozen) << "freeze_observers freezes batch norms";
  EXPECT_EQ(mismatches(other, quant::convert(other).model), 0);
}

}  // namespace
}  // namespace detent::own_modules_test
