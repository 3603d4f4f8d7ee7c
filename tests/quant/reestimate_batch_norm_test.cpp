// Batch-norm statistics that are taken anew after training.
#include "detent/quant/methods/reestimate_batch_norm.h"

#include <gmock/gmock.h>

#include "detent/quant/kinds/qat_product.h"
#include "tests/quant/qat_fixture.h"

namespace detent::reestimate_batch_norm_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(BatchStatistics, AreTheMeanOfAllValuesAndThePooledVariance) {
  nn::BatchStatistics statistics;
  EXPECT_TRUE(statistics.empty());
  // {1, 3} and {5, 5}; then {0, 0, 6, 6} and {1, 1, 1, 1}.
  statistics.add(std::vector{2.0, 5.0}, std::vector{2.0, 0.0}, 2);
  statistics.add(std::vector{3.0, 1.0}, std::vector{12.0, 0.0}, 4);
  EXPECT_FALSE(statistics.empty());
  EXPECT_THAT(statistics.mean(), ElementsAre(16.0F / 6.0F, 14.0F / 6.0F));
  EXPECT_THAT(statistics.variance(), ElementsAre(9.5F, 0.0F));
  EXPECT_THAT(error_of([&] { statistics.add(std::vector{1.0}, std::vector{1.0}, 2); }),
              HasSubstr("expected 2 channels, got 1"));
  EXPECT_THAT(error_of([&] {
                statistics.add(std::vector{1.0, 1.0}, std::vector{0.0, 0.0}, 1);
              }),
              HasSubstr("a batch of 1 values a channel has no variance"));
}

/// A folded batch norm, and one that stays in float. With a momentum of 1 the running statistics are the last batch's.
nn::Graph norm_net() {
  nn::Graph net;
  auto x = net.conv2d(net.input({8, 8, 1}), {.out_channels = 4, .kernel = 3, .name = "conv"});
  x = net.relu(net.batch_norm(x, {.momentum = 1.0, .name = "folded"}));
  x = net.batch_norm(x, {.momentum = 1.0, .name = "alone"});
  net.output(net.linear(net.flatten(x), {.out_features = 3, .name = "fc"}));
  net.initialize(5);
  return net;
}

struct Statistics {
  std::vector<double> mean, variance;
};

Statistics running_of(const nn::Graph& graph, const std::string& node, const std::string& prefix) {
  Statistics result;
  for (const nn::Slot& slot : graph.node(node).module->slots()) {
    if (slot.name == prefix + "running_mean" || slot.name == prefix + "running_var") {
      const std::span<const float> values = slot.tensor->data<float>();
      (slot.name.ends_with("mean") ? result.mean : result.variance).assign(values.begin(), values.end());
    }
  }
  return result;
}

const std::vector<std::pair<std::string, std::string>> kNorms{{"conv", "batch_norm_"}, {"alone", ""}};

class Reestimation : public testing::Test {
 protected:
  Reestimation() {
    for (std::uint64_t step = 0; step < 3; ++step) {
      test::train_step(prepared, test::random_images({8, 8, 1}, 16, step), test::random_labels(16, 3, step), 0.05F,
                       step);
    }
  }
  // The same statistics as training takes from each batch by itself, averaged.
  Statistics expected(const std::string& node, const std::string& prefix) const {
    Statistics sum;
    for (const Tensor& images : batches) {
      nn::Graph copy = prepared.clone(quant::factories_of(quant::standard_kinds()));
      autograd::Tape tape;
      nn::Context context{.tape = tape, .training = true};
      copy.forward(context, tape.constant(images));
      const Statistics batch = running_of(copy, node, prefix);
      sum.mean.resize(batch.mean.size());
      sum.variance.resize(batch.mean.size());
      for (std::size_t c = 0; c < batch.mean.size(); ++c) {
        sum.mean[c] += batch.mean[c] / static_cast<double>(batches.size());
        sum.variance[c] += batch.variance[c] / static_cast<double>(batches.size());
      }
    }
    return sum;
  }
  void run(nn::Graph& graph) const {
    for (const Tensor& images : batches) {
      test::infer(graph, images);
    }
  }

  nn::Graph prepared = quant::prepare_qat(norm_net(), quant::QConfigMapping());
  std::vector<Tensor> batches{test::random_images({8, 8, 1}, 12, 21), test::random_images({8, 8, 1}, 12, 22, 0.2F),
                              test::random_images({8, 8, 1}, 12, 23, 0.0F, 0.7F)};
};

TEST_F(Reestimation, AveragesTheStatisticsOfBatches) {
  std::vector<Statistics> averages;
  std::vector<Statistics> before;
  for (const auto& [node, prefix] : kNorms) {
    averages.push_back(expected(node, prefix));
    before.push_back(running_of(prepared, node, prefix));
  }
  quant::freeze_observers(prepared);
  const MinMax range = dynamic_cast<quant::QuantizedOutput&>(*prepared.node("conv").module).output().range();
  quant::reestimate_batch_norms(prepared, [&](nn::Graph& graph) { run(graph); });
  for (std::size_t i = 0; i < kNorms.size(); ++i) {
    SCOPED_TRACE(kNorms[i].first);
    const Statistics after = running_of(prepared, kNorms[i].first, kNorms[i].second);
    ASSERT_EQ(after.mean.size(), 4U);
    for (std::size_t c = 0; c < 4; ++c) {
      EXPECT_NEAR(after.mean[c], averages[i].mean[c], 1e-6 * (1.0 + std::abs(averages[i].mean[c])));
      EXPECT_NEAR(after.variance[c], averages[i].variance[c], 1e-6 * (1.0 + averages[i].variance[c]));
      EXPECT_NE(after.mean[c], before[i].mean[c]);
    }
  }
  auto& conv = dynamic_cast<quant::QatProduct&>(*prepared.node("conv").module);
  EXPECT_TRUE(conv.batch_norm()->is_frozen());
  EXPECT_TRUE(conv.output().is_frozen());
  EXPECT_EQ(conv.output().range(), range) << "frozen ranges stay";
}

TEST_F(Reestimation, ConvertsToTheSameCodes) {
  quant::freeze_observers(prepared);
  quant::reestimate_batch_norms(prepared, [&](nn::Graph& graph) { run(graph); });
  const quant::Converted converted = quant::convert(prepared);
  evaluation::Verifier verifier(prepared, converted.model);
  for (const Tensor& images : batches) {
    verifier.feed(images);
  }
  EXPECT_GT(verifier.report().codes_compared, 0);
  EXPECT_EQ(verifier.report().codes_mismatched, 0);
}

TEST_F(Reestimation, InferenceGathersNothingAfterwards) {
  quant::freeze_observers(prepared);
  quant::reestimate_batch_norms(prepared, [&](nn::Graph& graph) { run(graph); });
  const Statistics after = running_of(prepared, "conv", "batch_norm_");
  const Tensor whole = test::infer(prepared, batches[0]);
  const Tensor half = test::infer(prepared, batches[0].rows(0, 6));
  EXPECT_TRUE(std::ranges::equal(half.data<float>(), whole.rows(0, 6).data<float>()))
      << "a result depends on its batch";
  EXPECT_EQ(running_of(prepared, "conv", "batch_norm_").mean, after.mean);
}

TEST_F(Reestimation, OfNoBatchIsAnError) {
  quant::freeze_observers(prepared);
  EXPECT_THAT(error_of([&] { quant::reestimate_batch_norms(prepared, [](nn::Graph&) {}); }),
              HasSubstr("re-estimation: conv: its batch norm has seen no batch"));
}

TEST(ThawObservers, ObserveAgainFromTheFrozenRange) {
  quant::FakeQuant output(quant::uint8_activations(), quant::FakeQuant::State::Observing);
  output.observe(MinMax{0.0F, 1.0F}, 32);
  output.freeze();
  output.observe(MinMax{0.0F, 9.0F}, 32);
  EXPECT_EQ(output.range(), (MinMax{0.0F, 1.0F}));
  output.thaw();
  EXPECT_TRUE(output.is_observing());
  EXPECT_EQ(output.range(), (MinMax{0.0F, 1.0F}));
  EXPECT_TRUE(output.widen({0.0F, 2.0F}));
  EXPECT_EQ(output.range(), (MinMax{0.0F, 2.0F}));
  quant::FakeQuant calibrating(quant::uint8_activations(), quant::FakeQuant::State::Calibrating);
  EXPECT_THAT(error_of([&] { calibrating.thaw(); }), HasSubstr("thaw: a calibrating quantizer is not frozen"));
}

TEST(Reestimated, ConstantsStay) {
  nn::Graph net;
  auto x = net.conv2d(net.input({8, 8, 1}), {.out_channels = 4, .kernel = 3, .name = "conv"});
  x = net.batch_norm(x, {.momentum = 0.0, .frozen = true, .name = "constant"});
  x = net.batch_norm(net.relu(x), {.name = "alone"});
  net.output(net.linear(net.flatten(x), {.out_features = 3, .name = "fc"}));
  net.initialize(5);
  nn::Graph prepared = quant::prepare_qat(net, quant::QConfigMapping());
  test::train_step(prepared, test::random_images({8, 8, 1}, 16, 1), test::random_labels(16, 3, 1), 0.05F, 1);
  quant::reestimate_batch_norms(prepared, [](nn::Graph& graph) {
    autograd::Tape tape;
    nn::Context context{.tape = tape};
    graph.forward(context, tape.constant(test::random_images({8, 8, 1}, 16, 2)));
  });
  EXPECT_THAT(running_of(prepared, "conv", "batch_norm_").mean, testing::Each(0.0));
  EXPECT_THAT(running_of(prepared, "conv", "batch_norm_").variance, testing::Each(1.0));
  EXPECT_THAT(running_of(prepared, "alone", "").mean, testing::Each(testing::Ne(0.0)));
}

}  // namespace
}  // namespace detent::reestimate_batch_norm_test
