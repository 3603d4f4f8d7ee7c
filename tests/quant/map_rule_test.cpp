// Rules that make maps of ranges: the maps, their words, and what they are in files.
#include "detent/quant/quantizers/map_rule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "detent/core/philox.h"
#include "detent/kernels/codes/quantize.h"
#include "detent/quant/quantizers/quantizer_spec.h"
#include "tests/error_of.h"

namespace detent::quant::map_rule_test {
namespace {

using testing::HasSubstr;

TEST(MapRule, PowerOfTwoIsTheSmallestThatCoversTheRange) {
  RandomStream random(1, "ranges");
  for (int i = 0; i < 200; ++i) {
    const MinMax range{random.uniform(-3.0F, 0.0F), random.uniform(0.001F, 5.0F)};
    for (const Scheme scheme : {Scheme::Affine, Scheme::Symmetric}) {
      const CodeRange codes = scheme == Scheme::Affine ? unsigned_codes(8) : signed_codes(8);
      const ScaleZero closest = choose_qparams(range.min, range.max, codes, scheme);
      const ScaleZero map = map_of_range("power-of-two", range, codes, scheme);
      int exponent = 0;
      EXPECT_EQ(std::frexp(map.scale, &exponent), 0.5F);
      EXPECT_GE(map.scale, closest.scale);
      EXPECT_LT(map.scale, 2 * closest.scale);
      EXPECT_EQ(dequantize(map.zero_point, map), 0.0F);
    }
  }
  EXPECT_EQ(map_of_range("power-of-two", {0.0F, 255.0F}, unsigned_codes(8), Scheme::Affine).scale, 1.0F);
  EXPECT_EQ(map_of_range("", {0.0F, 255.0F}, unsigned_codes(8), Scheme::Affine).scale, 1.0F);
}

TEST(MapRule, IsAWordOfTheTextForm) {
  const QuantizerSpec spec = parse_weight_quantizer("int4 per-channel symmetric power-of-two");
  EXPECT_EQ(spec.map, "power-of-two");
  EXPECT_EQ(parse_weight_quantizer(to_text(spec)), spec);
  EXPECT_THAT(error_of([] { parse_weight_quantizer("int4 power-of-tow"); }), HasSubstr("'power-of-two'"));
}

// A search for a range looks at the maps that ranges get: of 4 bits, those of a reach of 2 and above err more with
// steps of 0.5 than those below with steps of 0.25, which clip what lies beyond 1.75.
TEST(MapRule, IsWhatSearchesForRangesLookAt) {
  std::vector<float> values;
  RandomStream random(3, "values");
  for (int i = 0; i < 4000; ++i) {
    values.push_back(random.uniform(-1.0F, 1.0F) + random.uniform(-1.0F, 1.0F));
  }
  values.push_back(2.2F);
  const auto error_of_spec = [&](const std::string& text) {
    const QuantizerSpec spec = parse_weight_quantizer(text);
    const ScaleZero map = spec.map_of(range_of(spec.range, spec.range_target(), values));
    double sum = 0.0;
    for (const float x : values) {
      sum += std::pow(double{x} - double{dequantize(quantize(x, map, spec.codes()), map)}, 2);
    }
    return sum;
  };
  const double searched = error_of_spec("int4 per-tensor mse power-of-two");
  EXPECT_LT(searched, 0.5 * error_of_spec("int4 per-tensor min-max power-of-two"));
  double best = searched;
  for (const float reach : {0.5F, 1.0F, 1.75F, 2.5F, 5.0F}) {
    best = std::min(best, error_of_spec("int4 per-tensor power-of-two fixed -" + std::to_string(reach) + " " +
                                        std::to_string(reach)));
  }
  EXPECT_EQ(searched, best);
  EXPECT_LT(error_of_spec("int4 per-tensor kl power-of-two"), error_of_spec("int4 per-tensor min-max power-of-two"));
}

TEST(MapRule, OfOnesOwnIsRegisteredOnce) {
  register_map_rule("twice-as-wide", [](const MinMax& range, CodeRange codes, Scheme scheme) {
    return choose_qparams(2 * range.min, 2 * range.max, codes, scheme);
  });
  const QuantizerSpec spec = parse_activation_quantizer("uint8 twice-as-wide");
  EXPECT_EQ(spec.map_of({-1.0F, 1.0F}), choose_qparams(-2.0F, 2.0F, unsigned_codes(8), Scheme::Affine));
  EXPECT_THAT(error_of([] { register_map_rule("twice-as-wide", {}); }), HasSubstr("is taken"));
  EXPECT_THAT(error_of([] { register_map_rule("min-max", {}); }), HasSubstr("is taken"));
  EXPECT_THAT(error_of([] { register_map_rule("No name", {}); }), HasSubstr("lower-case letters"));
  EXPECT_THAT(error_of([] { register_map_rule("no-function", {}); }), HasSubstr("has no function"));
  register_map_rule("no-map", [](const MinMax&, CodeRange, Scheme) { return ScaleZero{0.0F, 0}; });
  EXPECT_THAT(error_of([] {
                parse_activation_quantizer("uint8 no-map").map_of({0.0F, 1.0F});
              }),
              HasSubstr("no map of these codes"));
}

}  // namespace
}  // namespace detent::quant::map_rule_test
