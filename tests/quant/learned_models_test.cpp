// Models whose maps are learned: codes after conversion, files, gradients of every kind of module.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "detent/nn/model_file.h"
#include "tests/quant/qat_fixture.h"

namespace detent::learned_models_test {
namespace {

quant::QConfig config_of(const std::string& weights, const std::string& activations) {
  return {.weight = quant::parse_weight_quantizer(weights),
          .activation = quant::parse_activation_quantizer(activations)};
}

struct Rules {
  const char *weights, *activations;
};

nn::Graph trained(std::uint64_t seed, const Rules& rules, int steps = 8) {
  nn::Graph net = test::everything_net();
  net.initialize(seed);
  quant::QConfig config = config_of(rules.weights, rules.activations);
  config.backward = seed % 2 ? DType::F32 : DType::BF16;
  nn::Graph qat = quant::prepare_qat(net, quant::QConfigMapping(config));
  for (int step = 0; step < steps; ++step) {
    if (step == 5) {
      quant::freeze_batch_norm(qat);
    }
    const auto index = static_cast<std::uint64_t>(step);
    test::train_step(qat, test::random_images({12, 12, 3}, 10, seed * 100 + index, -1.0F, 1.0F),
                     test::random_labels(10, 5, seed * 100 + index), 0.02F, index);
  }
  return qat;
}

constexpr Rules kRules[] = {{"int4 lsq", "uint4 lsq"},
                            {"int2 per-tensor lsq", "uint2 lsq-plus"},
                            {"int8 per-group 3 lsq", "uint8 pact 0.001"},
                            {"int4 dorefa", "uint4 dorefa"},
                            {"int3 mse lsq", "uint3 histogram lsq"},
                            {"int4 percentile 90", "uint4 pact"}};

TEST(LearnedModels, ConvertedModelsGiveTheTrainedCodes) {
  for (std::uint64_t seed = 1; const Rules& rules : kRules) {
    SCOPED_TRACE(std::string(rules.weights) + ", " + rules.activations);
    nn::Graph qat = trained(seed, rules);
    quant::freeze_observers(qat);
    evaluation::Verifier verifier(qat, quant::convert(qat).model);
    verifier.feed(test::random_images({12, 12, 3}, 32, ++seed, -1.5F, 1.5F));
    EXPECT_EQ(verifier.report().codes_mismatched, 0) << evaluation::to_text(verifier.report());
  }
}

TEST(LearnedModels, OfEveryKindGetAGradient) {
  nn::Graph qat = trained(2, {"int4 lsq", "uint4 lsq"}, 2);
  int count = 0;
  for (const nn::NamedParameter& named : qat.parameters()) {
    if (named.name.find("_learned") != std::string::npos) {
      ASSERT_TRUE(named.parameter->gradient.defined()) << named.name;
      bool moves = false;
      for (const float g : named.parameter->gradient.data<float>()) {
        ASSERT_TRUE(std::isfinite(g)) << named.name;
        moves = moves || g != 0.0F;
      }
      EXPECT_TRUE(moves) << named.name;
      EXPECT_FALSE(named.parameter->decay) << named.name;
      ++count;
    }
  }
  EXPECT_GT(count, 14) << "products have two, other modules one";
}

TEST(LearnedModels, ComeBackFromFilesAndTrainOn) {
  const TempFolder folder;
  for (const Rules& rules : kRules) {
    SCOPED_TRACE(std::string(rules.weights) + ", " + rules.activations);
    nn::Graph qat = trained(3, rules, 3);
    qat.clear_gradients();
    nn::save_model({.graph = qat, .kind = "qat"}, folder / "qat.h5");
    nn::Graph read = nn::load_model(folder / "qat.h5", quant::factories_of()).graph;
    nn::Graph copy = qat.clone(quant::factories_of());
    const auto continued = [](nn::Graph& graph) {
      test::train_step(graph, test::random_images({12, 12, 3}, 10, 77, -1.0F, 1.0F), test::random_labels(10, 5, 77),
                       0.02F, 3);
      std::vector<float> all;
      for (const nn::NamedParameter& named : graph.parameters()) {
        const std::span<const float> values = std::as_const(named.parameter->value).data<float>();
        all.insert(all.end(), values.begin(), values.end());
      }
      return all;
    };
    const std::vector<float> expected = continued(qat);
    EXPECT_EQ(continued(read), expected);
    EXPECT_EQ(continued(copy), expected);
  }
}

TEST(LearnedModels, StaticQuantizationHasNoGradients) {
  nn::Graph net = test::everything_net();
  net.initialize(3);
  const auto ranges = [&](const Rules& rules) {
    nn::Graph prepared = quant::prepare(net, quant::QConfigMapping(config_of(rules.weights, rules.activations)));
    test::infer(prepared, test::random_images({12, 12, 3}, 16, 5, -1.0F, 1.0F));
    quant::freeze_observers(prepared);
    return test::infer(prepared, test::random_images({12, 12, 3}, 4, 6, -1.0F, 1.0F)).clone();
  };
  const Tensor learned = ranges({"int4 lsq", "uint4 dorefa"});
  const Tensor plain = ranges({"int4", "uint4"});
  EXPECT_EQ(std::memcmp(learned.raw(), plain.raw(), plain.bytes()), 0);
}

TEST(LearnedModels, ABatchOfOneTrains) {
  nn::Graph net = test::plain_net();
  net.initialize(1);
  nn::Graph qat = quant::prepare_qat(net, quant::QConfigMapping(config_of("int2 lsq", "uint2 lsq-plus")));
  for (std::uint64_t step = 0; step < 5; ++step) {
    const Tensor image = step == 0 ? Tensor::zeros({1, 8, 8, 1}, DType::F32) : test::random_images({8, 8, 1}, 1, step);
    EXPECT_TRUE(std::isfinite(test::train_step(qat, image, test::random_labels(1, 3, step), 0.1F, step)));
  }
  quant::freeze_observers(qat);
  EXPECT_NO_THROW(quant::convert(qat));
}

}  // namespace
}  // namespace detent::learned_models_test
