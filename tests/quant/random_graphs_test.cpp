// Small random graphs of all kinds through the whole way: prepared, trained or calibrated, converted, written, read,
// verified, planned.

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "detent/nn/model_file.h"
#include "tests/quant/qat_fixture.h"

namespace detent {
namespace {

using test::random_images;
using Handle = nn::Graph::Handle;

/// Grows a graph by modules that read any earlier value of a fitting shape, and makes any value its result.
class Grower {
 public:
  explicit Grower(std::uint64_t seed) : random_(seed, "random graphs") {}

  nn::Graph grow() {
    nn::Graph net;
    values_.push_back(net.input(chance(4) ? Shape{6} : Shape{6, 5, 2}));
    const std::size_t count = 2 + pick(9);
    while (values_.size() < count + 1) {
      add(net);
    }
    net.output(chance(3) ? values_[pick(values_.size())] : values_.back());
    net.initialize(pick(1000));
    return net;
  }

  quant::QConfig config() {
    quant::QConfig config;
    config.weight.grid.bits = chance(3) ? 4 : 8;
    config.weight.granularity = chance(3) ? quant::Granularity(quant::PerTensor{}) : quant::PerChannel{};
    config.activation.grid.bits = chance(3) ? 5 : 8;
    config.backward = chance(2) ? DType::F32 : DType::BF16;
    config.range = chance(2) ? quant::RangeUse::Current : quant::RangeUse::Previous;
    return config;
  }

  quant::QConfigMapping mapping(const nn::Graph& net) {
    quant::QConfigMapping mapping(config());
    for (const nn::Graph::Node& node : net.nodes()) {
      const bool is_shared = node.module && std::ranges::count(net.nodes(), node.module, &nn::Graph::Node::module) > 1;
      if (node.module && !is_shared && chance(4)) {
        mapping.set_name(node.name, chance(2) ? std::optional(config()) : std::nullopt);
      }
    }
    return mapping;
  }

 private:
  std::size_t pick(std::size_t count) { return random_.index(static_cast<std::uint32_t>(count)); }
  std::int64_t number(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(pick(static_cast<std::size_t>(high - low + 1)));
  }
  bool chance(std::size_t one_in) { return pick(one_in) == 0; }

  void add(nn::Graph& net) {
    const Handle x = chance(3) ? values_[pick(values_.size())] : values_.back();
    const Shape shape = net.node(x).shape;
    const bool is_image = shape.rank() == 3 && shape[0] > 1 && shape[1] > 1;
    switch (pick(14)) {
      case 0:
      case 1:
        return is_image ? keep(net.conv2d(x, {.out_channels = 1 + static_cast<std::int64_t>(pick(5)),
                                              .kernel = {number(1, 2), number(1, 2)},
                                              .stride = {number(1, 2), number(1, 2)},
                                              .padding = {number(0, 1), number(0, 1), number(0, 1), number(0, 1)},
                                              .bias = chance(2)}))
                        : keep(net.linear(shape.rank() == 1 ? x : net.flatten(x), {.out_features = 3}));
      case 2:
        return keep(net.linear(net.flatten(x), {.out_features = 5, .bias = chance(2)}));
      case 3:
      case 4:
        return keep(net.batch_norm(x, {.affine = chance(2)}));
      case 5:
      case 6:
        return keep(net.relu(x));
      case 7:
        return keep(net.activation(x, chance(2) ? kernels::Activation::Sigmoid : kernels::Activation::LeakyRelu));
      case 8:
        return keep(is_image ? net.max_pool(x, {.kernel = 2,
                                                .stride = {number(1, 2), number(1, 2)},
                                                .padding = {number(0, 1), 0, 0, number(0, 1)}})
                             : net.flatten(x));
      case 9:
        return keep(is_image && chance(2)
                        ? net.avg_pool(x, {.kernel = {2, 1}, .stride = 1, .padding = {0, 0, number(0, 1), 0}})
                    : shape.rank() == 3 ? net.global_avg_pool(x)
                                        : net.dropout(x, 0.2));
      case 10:
        return keep(net.dropout(x, 0.3));
      case 11: {
        const Handle other = values_[pick(values_.size())];
        return keep(net.add(x, net.node(other).shape == shape ? other : x));
      }
      case 12:
        return keep(net.softmax(x));
      default: {  // one module at two nodes
        const std::int64_t channels = shape[shape.rank() - 1];
        std::shared_ptr<nn::Module> module = std::make_shared<nn::BatchNorm>(nn::BatchNorm::Options{});
        if (shape.rank() == 3 && chance(2)) {
          module = std::make_shared<nn::Conv2d>(nn::Conv2d::Options{.out_channels = channels, .kernel = 1});
        }
        Handle y = net.add(module, {x});
        y = net.add(module, {chance(2) ? net.relu(y) : y});
        return keep(chance(2) ? net.relu(y) : y);
      }
    }
  }
  void keep(Handle handle) { values_.push_back(handle); }

  RandomStream random_;
  std::vector<Handle> values_;
};

void expect_verified(const nn::Graph& prepared, const runtime::Model& int8, const std::string& what) {
  evaluation::Verifier verifier(prepared, int8);
  for (std::uint64_t batch = 0; batch < 2; ++batch) {
    verifier.feed(random_images(prepared.input_shape(), 5, 50 + batch, -1.3F, 1.3F));
  }
  EXPECT_EQ(verifier.report().codes_mismatched, 0) << what << ": " << evaluation::to_text(verifier.report());
  EXPECT_EQ(verifier.report().predictions_changed, 0) << what;
}

void go_all_the_way(std::uint64_t seed) {
  Grower grower(seed);
  const nn::Graph net = grower.grow();
  const quant::QConfigMapping mapping = grower.mapping(net);
  const bool is_qat = seed % 3 != 0;
  nn::Graph prepared = is_qat ? quant::prepare_qat(net, mapping) : quant::prepare(net, mapping);
  const std::vector<quant::LedgerRow> before = quant::ledger_of(prepared);
  const std::int64_t classes = net.output_shape().elements();
  for (std::uint64_t step = 0; step < 3; ++step) {
    const Tensor images = random_images(net.input_shape(), 6, seed * 10 + step, -1.0F, 1.0F);
    if (!is_qat) {
      test::infer(prepared, images);
      continue;
    }
    if (step == 2) {
      quant::freeze_batch_norm(prepared);
    }
    test::train_step(prepared, images, test::random_labels(6, classes, seed + step), 0.02F, step);
  }
  quant::freeze_observers(prepared);
  const quant::Converted converted = quant::convert(prepared);
  expect_verified(prepared, converted.model, "converted");
  for (const quant::LedgerRow& row : converted.ledger) {
    const auto early = std::ranges::find(before, row.name, &quant::LedgerRow::name);
    ASSERT_NE(early, before.end()) << row.name;
    EXPECT_EQ(early->precision, row.precision) << row.name;
    EXPECT_EQ(early->is_unasked_float, row.is_unasked_float) << row.name;
    EXPECT_TRUE(row.precision == "int8" || early->reason == row.reason) << row.name << ": " << early->reason;
  }

  const TempFolder folder;
  nn::save_model({.graph = prepared, .kind = "qat"}, folder / "random_qat.h5");
  runtime::save_model({.model = converted.model}, folder / "random_int8.h5");
  const nn::Model read_qat = nn::load_model(folder / "random_qat.h5", quant::factories_of());
  const runtime::ModelFile read_int8 = runtime::load_model(folder / "random_int8.h5");
  expect_verified(read_qat.graph, read_int8.model, "read back");
  expect_verified(read_qat.graph, quant::convert(read_qat.graph).model, "read back, then converted");

  // Without its values kept a plan fuses more.
  const Tensor images = random_images(net.input_shape(), 9, seed, -1.0F, 1.0F);
  nn::Graph fake_quantized = read_qat.graph;
  const Tensor expected = test::infer(fake_quantized, images);
  const Tensor planned = test::infer(read_int8.model, images);
  ASSERT_EQ(planned.shape(), expected.shape());
  if (read_int8.model.is_integer()) {
    EXPECT_EQ(std::memcmp(planned.raw(), expected.raw(), expected.bytes()), 0) << "the plan gives other results";
  }
}

void run_seeds(std::uint64_t first, std::uint64_t count) {
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    try {
      go_all_the_way(seed);
    } catch (const Error& error) {
      ADD_FAILURE() << error.what();
    }
    if (testing::Test::HasFailure()) {
      return;
    }
  }
}

TEST(RandomGraphs, KeepTheirCodesAllTheWay) { run_seeds(1, 25); }
TEST(RandomGraphsSlow, KeepTheirCodesAllTheWay) { run_seeds(1000, 400); }

}  // namespace
}  // namespace detent
