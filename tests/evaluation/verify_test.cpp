#include "detent/evaluation/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/quant/qat_fixture.h"

namespace detent {
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
  nn::Graph int8 = quant::convert(prepared).graph;
  const auto set_bias = [](nn::Graph& graph, float bias) {
    for (const nn::NamedParameter& named : graph.parameters()) {
      if (named.name.starts_with("last")) {
        named.parameter->value = named.parameter->value.clone();
        std::ranges::fill(named.parameter->value.data<float>(), named.name == "last.bias" ? bias : 0.0F);
      }
    }
  };
  set_bias(prepared, expected);
  set_bias(int8, actual);
  Verifier verifier(prepared, int8);
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

}  // namespace
}  // namespace detent
