#include "detent/evaluation/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/quant/qat_fixture.h"

namespace detent::verify_test {
namespace {

using namespace evaluation;

using testing::HasSubstr;

// A linear layer that stays in float, and its converted form with another bias.
VerifyReport report_with_bias(float expected, float actual) {
  nn::Graph net;
  auto x = net.input({4});
  x = net.linear(x, {.out_features = 3, .name = "hidden"});
  x = net.linear(x, {.out_features = 2, .name = "last"});
  net.output(x);
  net.initialize(1);
  quant::QConfigMapping mapping;
  mapping.set_name("last", std::nullopt);
  nn::Graph prepared = quant::prepare(net, mapping);
  const Tensor images = test::random_images({4}, 8, 1, -1.0F, 1.0F);
  test::infer(prepared, images);
  quant::freeze_observers(prepared);
  runtime::Model int8 = quant::convert(prepared).model;
  for (const nn::NamedParameter& named : prepared.parameters()) {
    if (named.name.starts_with("last")) {
      std::ranges::fill(named.parameter->value.data<float>(), named.name == "last.bias" ? expected : 0.0F);
    }
  }
  auto& last = test::op_of<runtime::Product>(int8, "last");
  std::ranges::fill(last.weight.data<float>(), 0.0F);
  std::ranges::fill(last.bias.data<float>(), std::isfinite(actual) ? actual : 0.0F);
  Verifier verifier(prepared, int8);
  if (!std::isfinite(actual)) {  // such a model is refused: the number comes into its plan
    for (const std::span<std::byte> memory :
         verifier.plan_for(images.shape()[0]).packed_memory_of(test::index_of(int8, "last"))) {
      std::ranges::fill(std::span(reinterpret_cast<float*>(memory.data()), memory.size() / sizeof(float)), actual);
    }
  }
  verifier.feed(images);
  return verifier.report();
}

TEST(Verify, TellsNumbersOfFloatLayersAsNumbers) {
  const float near = std::nextafter(0.3F, 1.0F);
  EXPECT_EQ(to_text(report_with_bias(0.3F, near)),
            "last: image 0, element 0: expected 0.3, got 0.30000004 (16 of 16 codes differ)\n");
  EXPECT_THAT(to_text(report_with_bias(0.3F, std::numeric_limits<float>::quiet_NaN())),
              HasSubstr("expected 0.3, got nan"));
  EXPECT_THAT(to_text(report_with_bias(0.0F, -1.5e-20F)), HasSubstr("expected 0, got -1.5e-20"));
  const VerifyReport report = report_with_bias(-2.5F, 7.25F);
  ASSERT_EQ(report.first.size(), 1U);
  EXPECT_EQ(report.first[0].expected, -2.5);
  EXPECT_EQ(report.first[0].actual, 7.25);
}

// What runs is what is verified: a fault in the plan's own memory is found, and the layer named.
TEST(Verify, NamesTheLayerOfAFaultInThePlan) {
  nn::Graph net = test::everything_net();
  net.initialize(2);
  nn::Graph prepared = quant::prepare(net, quant::QConfigMapping());
  const Tensor images = test::random_images({12, 12, 3}, 8, 1, -1.0F, 1.0F);
  test::infer(prepared, images);
  quant::freeze_observers(prepared);
  const runtime::Model int8 = quant::convert(prepared).model;
  for (const char* layer : {"conv1", "conv2", "fc1", "fc2"}) {
    const std::size_t node = test::index_of(int8, layer);
    Verifier sound(prepared, int8);
    const std::size_t pieces = sound.plan_for(8).packed_memory_of(node).size();
    ASSERT_GE(pieces, 2U) << layer << ": weights and multipliers";
    for (std::size_t piece = 0; piece < pieces; ++piece) {
      // One byte: of a weight's code, or of a multiplier or bias. One of the first four is no padding.
      int found = 0;
      for (std::size_t byte = 0; byte < 4; ++byte) {
        Verifier verifier(prepared, int8);
        verifier.plan_for(8).packed_memory_of(node)[piece][byte] ^= std::byte{0x40};
        verifier.feed(images);
        const VerifyReport report = verifier.report();
        if (!report.first.empty()) {
          ++found;
          EXPECT_FALSE(report.passed());
          EXPECT_EQ(report.first[0].layer, layer) << "piece " << piece << ", byte " << byte;
          EXPECT_THAT(to_text(report), HasSubstr(std::string(layer) + ": image "));
        }
      }
      EXPECT_TRUE(found >= 1 || piece >= 2) << layer << ", piece " << piece << ": weights and multipliers all count";
    }
    sound.feed(images);
    EXPECT_TRUE(sound.report().passed()) << to_text(sound.report());
  }
}

}  // namespace
}  // namespace detent::verify_test
