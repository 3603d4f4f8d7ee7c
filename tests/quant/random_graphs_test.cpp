// Small random graphs of all kinds through the whole way: prepared, trained or calibrated, converted, written, read,
// verified, planned, and run by the reference executor. DETENT_SEED=N runs the graph of that seed alone.

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "detent/nn/model_file.h"
#include "detent/runtime/reference.h"
#include "tests/quant/random_graph.h"

namespace detent::random_graphs_test {
namespace {

using test::random_images;

void expect_verified(const nn::Graph& prepared, const runtime::Model& int8, const std::string& what) {
  evaluation::Verifier verifier(prepared, int8);
  for (std::uint64_t batch = 0; batch < 2; ++batch) {
    verifier.feed(random_images(prepared.input_shape(), 5, 50 + batch, -1.3F, 1.3F));
  }
  EXPECT_EQ(verifier.report().codes_mismatched, 0) << what << ": " << evaluation::to_text(verifier.report());
  EXPECT_EQ(verifier.report().predictions_changed, 0) << what;
}

bool moves_values(const runtime::Op& op) {
  const auto* const pool = std::get_if<runtime::Pool>(&op);
  return std::holds_alternative<runtime::Dequantize>(op) || std::holds_alternative<runtime::Reshape>(op) ||
         std::holds_alternative<runtime::Concat>(op) || (pool != nullptr && pool->kind == runtime::PoolKind::Max);
}

/// The plan against the reference executor: codes, and what is read from them, to the bit; real numbers that are
/// computed, nearly, and what is made of those is not looked at.
void expect_reference(const runtime::Model& model, const Tensor& images) {
  const std::vector<Tensor> expected = runtime::run_reference(model, std::span(&images, 1));
  runtime::Plan plan(model, images.shape()[0], {.keeps_values = true});
  plan.run(images);
  std::vector<bool> is_exact(model.values(), true);
  for (runtime::ValueId value = model.inputs.size(); value < model.values(); ++value) {
    const runtime::Node& node = *model.node_of(value);
    const bool is_known = std::ranges::all_of(node.inputs, [&](runtime::ValueId input) { return is_exact[input]; });
    is_exact[value] = is_known && (node.output.is_codes() || moves_values(node.op));
    const Tensor& actual = plan.value(value);
    if (is_exact[value]) {
      EXPECT_EQ(std::memcmp(actual.raw(), expected[value].raw(), expected[value].bytes()), 0)
          << node.name << ": the reference gives other values";
    } else if (is_known) {
      for (std::size_t i = 0; i < static_cast<std::size_t>(actual.elements()); ++i) {
        const float wanted = expected[value].data<float>()[i];
        EXPECT_NEAR(actual.data<float>()[i], wanted, 1e-4F * (1.0F + std::abs(wanted))) << node.name << ", " << i;
      }
    }
  }
}

void go_all_the_way(std::uint64_t seed) {
  test::Grower grower(seed);
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

  expect_reference(converted.model, random_images(net.input_shape(), 4, seed + 7, -1.3F, 1.3F));

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

/// The seeds from `first`, or the one that DETENT_SEED names.
void run_seeds(std::uint64_t first, std::uint64_t count) {
  if (const char* const only = std::getenv("DETENT_SEED")) {
    first = std::strtoull(only, nullptr, 10);
    count = 1;
  }
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed) + "; DETENT_SEED=" + std::to_string(seed) + " runs it alone");
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
TEST(RandomGraphsSlow, KeepTheirCodesAllTheWay) { run_seeds(1000, 300); }

}  // namespace
}  // namespace detent::random_graphs_test
