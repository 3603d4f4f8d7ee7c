// Corrected biases: the means of codes are those of the float graph, and nothing else moves.

#include "detent/quant/methods/bias_correction.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "detent/quant/kinds/qat_product.h"
#include "detent/quant/passes/fold_batch_norm.h"
#include "tests/quant/qat_fixture.h"

namespace detent::bias_correction_test {
namespace {

quant::QConfigMapping few_bits() {
  quant::QConfig config;
  config.weight.grid.bits = 3;
  config.weight.granularity = quant::PerTensor{};
  return quant::QConfigMapping(config);
}

quant::QatProduct* product_of(const nn::Graph::Node& node) {
  return dynamic_cast<quant::QatProduct*>(node.module.get());
}

/// The means that each product shows in a run, by name.
std::map<std::string, std::vector<double>> means_of(nn::Graph& prepared, const Tensor& images) {
  std::map<std::string, quant::OutputMeans> means;
  for (const nn::Graph::Node& node : prepared.nodes()) {
    if (product_of(node) != nullptr) {
      product_of(node)->watch(&means[node.name]);
    }
  }
  test::infer(prepared, images);
  std::map<std::string, std::vector<double>> result;
  for (const nn::Graph::Node& node : prepared.nodes()) {
    if (product_of(node) != nullptr) {
      product_of(node)->watch(nullptr);
      result[node.name] = means[node.name].means();
    }
  }
  return result;
}

TEST(OutputMeans, AreOfEachChannelOverAllRows) {
  quant::OutputMeans means;
  EXPECT_TRUE(means.means().empty());
  means.add(Tensor::from(std::vector<float>{1, 10, 3, 20}, {1, 2, 1, 2}));
  means.add(Tensor::from(std::vector<float>{5, -30}, {1, 1, 1, 2}));
  EXPECT_EQ(means.means(), (std::vector<double>{3.0, 0.0}));
}

TEST(BiasCorrection, GivesEveryLayerTheMeansOfTheFloatGraph) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    nn::Graph net = test::everything_net();
    net.initialize(seed);
    const nn::Graph folded = quant::fold_batch_norms(net, few_bits());
    const Tensor images = test::random_images(net.input_shape(), 16, seed, -1.0F, 1.0F);
    nn::Graph plain = quant::prepare(folded, few_bits());
    const auto expected = means_of(plain, images);
    quant::freeze_observers(plain);
    const auto uncorrected = means_of(plain, images);

    nn::Graph prepared = quant::prepare(folded, few_bits());
    quant::calibrate_and_correct_biases(prepared, [&](nn::Graph& graph) { test::infer(graph, images); });
    const auto corrected = means_of(prepared, images);
    ASSERT_EQ(corrected.size(), 6U);
    double before = 0.0, after = 0.0;
    for (const auto& [name, means] : corrected) {
      for (std::size_t o = 0; o < means.size(); ++o) {
        before += std::abs(uncorrected.at(name)[o] - expected.at(name)[o]);
        after += std::abs(means[o] - expected.at(name)[o]);
        // A bias is a code: a step of it is far below a hundredth here.
        EXPECT_NEAR(means[o], expected.at(name)[o], 5e-3) << "seed " << seed << ", " << name << " output " << o;
      }
    }
    EXPECT_LT(after, 0.2 * before) << "seed " << seed;

    const quant::Converted converted = quant::convert(prepared);
    evaluation::Verifier verifier(prepared, converted.model);
    verifier.feed(test::random_images(net.input_shape(), 9, seed + 50, -1.3F, 1.3F));
    EXPECT_TRUE(verifier.report().passed()) << evaluation::to_text(verifier.report());
  }
}

TEST(BiasCorrection, LeavesWeightsAndRanges) {
  nn::Graph net = test::plain_net();
  net.initialize(4);
  const Tensor images = test::random_images(net.input_shape(), 16, 3);
  nn::Graph plain = quant::prepare(net, few_bits());
  test::infer(plain, images);
  quant::freeze_observers(plain);
  nn::Graph prepared = quant::prepare(net, few_bits());
  quant::calibrate_and_correct_biases(prepared, [&](nn::Graph& graph) { test::infer(graph, images); });
  for (std::size_t i = 1; i < plain.nodes().size(); ++i) {
    const std::vector<nn::Slot> expected = plain.nodes()[i].module->slots();
    const std::vector<nn::Slot> actual = prepared.nodes()[i].module->slots();
    for (std::size_t k = 0; k < expected.size(); ++k) {
      const bool is_same =
          std::memcmp(actual[k].tensor->raw(), expected[k].tensor->raw(), expected[k].tensor->bytes()) == 0;
      EXPECT_EQ(is_same, expected[k].name != "bias") << plain.nodes()[i].name << " " << expected[k].name;
    }
  }
}

TEST(BiasCorrection, RefusesWhatHasNoBiasOrIsFrozen) {
  const auto error_of = [](nn::Graph& graph) {
    return detent::error_of([&] { quant::calibrate_and_correct_biases(graph, [](nn::Graph&) {}); });
  };
  nn::Graph net = test::everything_net();
  net.initialize(1);
  nn::Graph prepared = quant::prepare(net, few_bits());
  EXPECT_THAT(error_of(prepared), testing::HasSubstr("conv1: expected a layer with a bias and without a batch norm"));
  nn::Graph trained = quant::prepare_qat(quant::fold_batch_norms(net, few_bits()), few_bits());
  EXPECT_THAT(error_of(trained), testing::HasSubstr("conv1: expected a graph that quant::prepare made"));
}

}  // namespace
}  // namespace detent::bias_correction_test
