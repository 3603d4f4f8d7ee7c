// A layer whose sums might not fit 32 bits is refused before any training, by its codes' ranges and its depth.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/quant/qat_fixture.h"

namespace detent::depth_test {
namespace {

using testing::HasSubstr;

nn::Graph wide_net(std::int64_t inputs) {
  nn::Graph net;
  net.output(net.linear(net.input({inputs}), {.out_features = 2, .name = "wide"}));
  net.initialize(1);
  return net;
}

quant::QConfigMapping with_bits(int weight, int activation) {
  quant::QConfig config;
  config.weight.grid.bits = weight;
  config.activation.grid.bits = activation;
  return quant::QConfigMapping(config);
}

std::string error_of(const nn::Graph& net, const quant::QConfigMapping& mapping) {
  std::string errors;
  for (const auto& pass : {&quant::prepare, &quant::prepare_qat}) {
    try {
      pass(net, mapping, quant::standard_kinds());
      errors += "no error\n";
    } catch (const Error& error) {
      errors += std::string(error.what()) + '\n';
    }
  }
  return errors;
}

TEST(Depth, OfALayerIsBoundedByItsBits) {
  const nn::Graph net = wide_net(90000);
  const std::string refused =
      "wide: a sum of 90000 products of codes up to 255 and 127 may pass 2^31; expected at most 66311";
  const std::string hint = "keep_float = [\"wide\"]";
  EXPECT_THAT(error_of(net, with_bits(8, 8)), testing::AllOf(HasSubstr(refused), HasSubstr(hint)));
  EXPECT_THAT(error_of(net, with_bits(8, 8)), testing::Not(HasSubstr("no error")));
  EXPECT_EQ(error_of(net, with_bits(7, 8)), "no error\nno error\n");
  EXPECT_EQ(error_of(net, with_bits(8, 7)), "no error\nno error\n");
  EXPECT_EQ(error_of(net, with_bits(8, 8).set_name("wide", std::nullopt)), "no error\nno error\n");
  EXPECT_EQ(error_of(wide_net(66311), with_bits(8, 8)), "no error\nno error\n");
  EXPECT_THAT(error_of(wide_net(66312), with_bits(8, 8)), HasSubstr("wide: a sum of 66312 products"));
}

TEST(Depth, CountsTheBitsOfTheInputAndNotOfTheResult) {
  nn::Graph net;
  auto x = net.linear(net.input({1}), {.out_features = 90000, .name = "first"});
  x = net.flatten(net.dropout(net.relu(x), 0.5), "flat");
  net.output(net.linear(x, {.out_features = 2, .name = "wide"}));
  net.initialize(1);
  quant::QConfig narrow;
  narrow.activation.grid.bits = 4;
  EXPECT_EQ(error_of(net, quant::QConfigMapping().set_name("first", narrow)), "no error\nno error\n");
  EXPECT_THAT(error_of(net, quant::QConfigMapping().set_name("wide", narrow)), HasSubstr("codes up to 255 and 127"));
}

TEST(Depth, OfAConvolutionCountsItsKernel) {
  nn::Graph net;
  net.output(net.conv2d(net.input({3, 3, 8000}), {.out_channels = 2, .kernel = 3, .name = "conv"}));
  net.initialize(1);
  EXPECT_THAT(error_of(net, with_bits(8, 8)), HasSubstr("conv: a sum of 72000 products"));
  EXPECT_EQ(error_of(net, with_bits(4, 8)), "no error\nno error\n");
}

TEST(Depth, OfALayerThatFitsWithFewerBitsComputesExactly) {
  for (const auto& [weight, activation] : {std::pair{8, 4}, std::pair{4, 8}}) {
    nn::Graph net = wide_net(90000);
    // Sums as large as they come: all weights of the first output at the end of their range.
    const std::span<float> values = net.parameters()[0].parameter->value.data<float>();
    std::ranges::fill(values.first(90000), 0.01F);
    nn::Graph qat = quant::prepare_qat(net, with_bits(weight, activation));
    const Tensor images = test::random_images({90000}, 3, 5, 0.5F, 1.0F);
    test::train_step(qat, images, test::random_labels(3, 2, 1), 0.0F);
    quant::freeze_observers(qat);
    const runtime::Model int8 = quant::convert(qat).model;
    evaluation::Verifier verifier(qat, int8);
    verifier.feed(images);
    EXPECT_EQ(verifier.report().codes_mismatched, 0) << evaluation::to_text(verifier.report());
    const Tensor expected = test::infer(net, images), actual = test::infer(int8, images);
    for (std::size_t i = 0; i < 6; ++i) {
      EXPECT_NEAR(actual.data<float>()[i], expected.data<float>()[i], 0.1F * expected.data<float>()[0])
          << "element " << i << ", weights of " << weight << " bits, activations of " << activation;
    }
  }
}

}  // namespace
}  // namespace detent::depth_test
