// Ranges that training begins with, taken from a calibrated graph.
#include <gmock/gmock.h>

#include "detent/quant/kinds/qat_product.h"
#include "tests/quant/qat_fixture.h"

namespace detent::adopt_ranges_test {
namespace {

using testing::HasSubstr;

quant::FakeQuant& output_of(const nn::Graph& graph, std::string_view name) {
  return dynamic_cast<quant::QuantizedOutput&>(*graph.node(name).module).output();
}

const std::vector<std::string> kQuantizers{"input_quantize", "conv", "fc"};

nn::Graph calibrated(const nn::Graph& net, const quant::QConfigMapping& mapping, const Tensor& images) {
  nn::Graph graph = quant::prepare(net, mapping);
  test::infer(graph, images);
  return graph;
}

TEST(AdoptRanges, GivesTrainingTheRangesOfACalibration) {
  nn::Graph net = test::plain_net();
  net.initialize(1);
  const Tensor images = test::random_images({8, 8, 1}, 64, 2);
  const nn::Graph from = calibrated(net, quant::QConfigMapping(), images);
  nn::Graph qat = quant::prepare_qat(net, quant::QConfigMapping());
  quant::adopt_ranges(qat, from);
  for (const std::string& name : kQuantizers) {
    EXPECT_EQ(output_of(qat, name).range(), output_of(from, name).range()) << name;
    EXPECT_EQ(output_of(qat, name).map(), output_of(from, name).map()) << name;
    EXPECT_TRUE(output_of(qat, name).is_observing()) << name;
  }
  // The moving average goes on from there: a batch of 32 examples moves the range by a hundredth of the way.
  const MinMax before = output_of(qat, "conv").range();
  const float max = before.max + 100.0F;
  output_of(qat, "conv").observe(MinMax{before.min, max}, 32);
  EXPECT_EQ(output_of(qat, "conv").range().max, before.max + 0.01F * (max - before.max));
}

TEST(AdoptRanges, TakesAlongWhatTheRuleKeeps) {
  nn::Graph net = test::plain_net();
  net.initialize(1);
  const quant::QConfigMapping mapping(quant::QConfig{.activation = quant::parse_activation_quantizer("uint8 mse")});
  const nn::Graph from = calibrated(net, mapping, test::random_images({8, 8, 1}, 64, 2));
  nn::Graph qat = quant::prepare_qat(net, mapping);
  quant::adopt_ranges(qat, from);
  const Tensor more = test::random_images({100}, 1, 3);
  output_of(qat, "fc").observe(more, 1);
  output_of(from, "fc").observe(more, 1);
  EXPECT_EQ(output_of(qat, "fc").range(), output_of(from, "fc").range()) << "the histogram was left behind";
}

TEST(AdoptRanges, NamesTheQuantizerThatIsMissingOrHasSeenNothing) {
  nn::Graph net = test::plain_net();
  net.initialize(1);
  nn::Graph qat = quant::prepare_qat(net, quant::QConfigMapping());
  const nn::Graph fresh = quant::prepare(net, quant::QConfigMapping());
  EXPECT_THAT(error_of([&] { quant::adopt_ranges(qat, fresh); }),
              HasSubstr("input_quantize: no range was observed yet"));
  const nn::Graph part =
      calibrated(net, quant::QConfigMapping().set_name("fc", std::nullopt), test::random_images({8, 8, 1}, 8, 2));
  EXPECT_THAT(error_of([&] { quant::adopt_ranges(qat, part); }),
              HasSubstr("adopt_ranges: fc: the calibrated graph has no quantizer of this name"));
}

}  // namespace
}  // namespace detent::adopt_ranges_test
