// Rules of the gradient: their words, the maps that they learn, and their gradients against finite differences.
#include "detent/quant/quantizers/gradients/gradient_rule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "detent/core/philox.h"
#include "detent/kernels/codes/quantize.h"
#include "detent/quant/quantizers/fake_quant.h"
#include "detent/quant/quantizers/gradients/exponential.h"
#include "detent/quant/quantizers/gradients/positive.h"
#include "tests/error_of.h"

namespace detent::quant::gradient_rules_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(GradientRules, AreWordsOfTheTextForm) {
  EXPECT_THAT(gradient_rule_names(), ElementsAre("straight-through", "lsq", "lsq-plus", "pact", "dorefa"));
  for (const char* const text : {"int4 per-channel symmetric lsq", "int2 per-tensor symmetric mse lsq",
                                 "int4 per-group 8 symmetric lsq", "int4 per-tensor symmetric dorefa"}) {
    EXPECT_EQ(to_text(parse_weight_quantizer(text)), text);
  }
  for (const char* const text :
       {"uint4 per-tensor affine lsq", "uint2 per-tensor affine pact 0.001", "uint4 per-tensor affine pact",
        "uint4 per-tensor affine lsq-plus", "uint4 per-tensor affine dorefa"}) {
    EXPECT_EQ(to_text(parse_activation_quantizer(text)), text);
  }
  EXPECT_EQ(parse_weight_quantizer("int4 straight-through"), parse_weight_quantizer("int4"));
}

TEST(GradientRules, RefuseWhatTheyCannotBe) {
  EXPECT_THAT(error_of([] { parse_weight_quantizer("int4 lsqq"); }), HasSubstr("the nearest word is 'lsq'"));
  EXPECT_EQ(error_of([] { parse_weight_quantizer("int4 lsq 3"); }),
            "weights: gradient rule: 'lsq 3': expected no numbers; write for example lsq");
  EXPECT_EQ(error_of([] { parse_activation_quantizer("uint4 pact -1"); }),
            "activations: gradient rule: 'pact -1': expected a decay of at least 0, got -1; write for example pact "
            "0.0001");
  EXPECT_THAT(error_of([] { make_gradient_rule({"lsq-minus", {}}); }), HasSubstr("there is no 'lsq-minus'"));
  EXPECT_EQ(error_of([] { QConfig{.weight = parse_weight_quantizer("int4 per-tensor pact")}.validate(); }),
            "weights: the gradient rule 'pact' is one of activations; write weights = \"int4 per-tensor symmetric "
            "lsq\"");
  EXPECT_EQ(error_of([] { QConfig{.activation = parse_activation_quantizer("uint4 power-of-two lsq")}.validate(); }),
            "activations: 'lsq' learns any scale, and 'power-of-two' lets it have few; write activations = \"uint4 "
            "per-tensor affine lsq\"");
  for (const std::string_view grid : {"int1", "ternary"}) {
    EXPECT_EQ(
        error_of([&] { QConfig{.weight = parse_weight_quantizer(std::string(grid) + " lsq")}.validate(); }),
        "weights: signs and ternary codes have a scale of their own rule, which 'lsq' cannot learn; leave it out, or "
        "write weights = \"int2 lsq\"");
  }
}

TEST(GradientRules, ExponentialsAreThoseOfTheLibrary) {
  for (double x = -41.0; x < 42.0; x += 0.37) {
    EXPECT_NEAR(exponential(x) / std::exp(x), 1.0, 1e-14) << x;
    EXPECT_NEAR(hyperbolic_tangent(x), std::tanh(x), 1e-15) << x;
  }
  for (const double x : {0.0, 1e-30, 1e-8, 9.9e-5, 1.01e-4, 1e-3}) {
    EXPECT_NEAR(hyperbolic_tangent(-x), std::tanh(-x), 1e-11 * x) << x;
  }
}

TEST(GradientRules, ALearnedScaleIsAlwaysPositiveAndFinite) {
  for (const char* const name : {"lsq", "lsq-plus", "pact"}) {
    const auto rule = make_gradient_rule({name, {}});
    for (const float number : {-1e30F, -100.0F, -42.0F, 0.0F, 3.5F, 100.0F, 1e30F}) {
      const std::vector<float> numbers(rule->learned(), number);
      for (const std::int32_t zero_point : {0, 7, 15}) {
        const ScaleZero map = rule->map_of(numbers, zero_point, {0, 15});
        EXPECT_GE(map.scale, 0x1p-60F) << name << ' ' << number;
        EXPECT_LE(map.scale, 0x1p60F) << name << ' ' << number;
        QParams::per_tensor(map, {0, 15}).validate();
        const kernels::StepSums sums{1e20, -1e20, 1e20, 1e30, -1e30};
        for (const double gradient : rule->gradient(numbers, zero_point, {0, 15}, sums, 10)) {
          EXPECT_TRUE(std::isfinite(static_cast<float>(gradient * gradient))) << name << ' ' << number;
        }
      }
    }
    for (const float number : {kNaN, kInfinity}) {
      EXPECT_THAT(error_of([&] {
                    rule->map_of(std::vector<float>(rule->learned(), number), 0, {0, 15});
                  }),
                  HasSubstr("training has diverged"));
    }
  }
}

TEST(GradientRules, NumbersOfAMapGiveTheMap) {
  for (const char* const name : {"lsq", "lsq-plus", "pact"}) {
    const auto rule = make_gradient_rule({name, {}});
    for (const ScaleZero map : {ScaleZero{0.25F, 0}, ScaleZero{3.0F, 6}, ScaleZero{1e-9F, 15}}) {
      const ScaleZero again = rule->map_of(rule->numbers_of(map, {0, 15}), map.zero_point, {0, 15});
      EXPECT_NEAR(again.scale / map.scale, 1.0F, 1e-5F) << name;
      EXPECT_EQ(again.zero_point, map.zero_point) << name;
    }
  }
}

/// Random values and gradients, and the loss sum g * y of the y that they become as a function of the learned numbers:
/// rounding is a constant number of steps, as straight-through has it, and which codes are clipped does not change.
struct Differences {
  std::vector<float> x, g;
  CodeRange codes;
  ScaleZero map;

  Differences(CodeRange code_range, ScaleZero at, float low, float high) : codes(code_range), map(at) {
    RandomStream random(5, "gradient rules");
    for (int i = 0; i < 500; ++i) {
      x.push_back(random.uniform(low, high));
      g.push_back(random.uniform(-0.01F, 0.01F));
    }
  }
  kernels::StepSums sums() const { return kernels::step_sums(g, x, map, codes); }
  /// y of a value is inside(x, residual in steps), or of a clipped one top() or bottom().
  template <typename Inside>
  double loss(Inside&& inside, double top, double bottom) const {
    double sum = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const auto t = static_cast<double>(x[i] / map.scale);
      const double code = std::nearbyint(t) + map.zero_point;
      const double y = code > codes.qmax   ? top
                       : code < codes.qmin ? bottom
                                           : inside(static_cast<double>(x[i]), std::nearbyint(t) - t);
      sum += static_cast<double>(g[i]) * y;
    }
    return sum;
  }
};

template <typename Fn>
double slope(Fn&& f, double at) {
  constexpr double kStep = 1e-5;
  return (f(at + kStep) - f(at - kStep)) / (2 * kStep);
}

TEST(Lsq, GradientIsThatOfFiniteDifferences) {
  struct Row {
    CodeRange codes;
    ScaleZero map;
  };
  for (const Row& row : {Row{{-7, 7}, {0.11F, 0}}, Row{{0, 15}, {0.07F, 0}}, Row{{0, 3}, {0.4F, 1}}}) {
    const Differences d(row.codes, row.map, -1.5F, 2.0F);
    const auto rule = make_gradient_rule({"lsq", {}});
    const std::vector<float> numbers = rule->numbers_of(row.map, row.codes);
    const double ds = slope(
        [&](double s) {
          return d.loss([s](double x, double residual) { return x + s * residual; },
                        s * (row.codes.qmax - row.map.zero_point), s * (row.codes.qmin - row.map.zero_point));
        },
        static_cast<double>(row.map.scale));
    const double extent = std::max(row.codes.qmax - row.map.zero_point, row.map.zero_point - row.codes.qmin);
    const double want = ds / std::sqrt(extent * 500.0) / static_cast<double>(row.map.scale);
    EXPECT_NEAR(rule->gradient(numbers, row.map.zero_point, row.codes, d.sums(), 500)[0], want, 1e-5 * std::abs(want));
  }
}

TEST(LsqPlus, GradientIsThatOfFiniteDifferences) {
  const CodeRange codes{0, 15};
  const auto rule = make_gradient_rule({"lsq-plus", {}});
  const std::vector<float> numbers{logarithm_of(0.1), -0.3F};
  const ScaleZero map = rule->map_of(numbers, 0, codes);
  EXPECT_EQ(map.zero_point, 3);
  const Differences d(codes, map, -1.0F, 2.5F);
  const auto loss = [&](double s, double b) {
    return d.loss([s](double x, double residual) { return x + s * residual; }, s * 15 + b, b);
  };
  const auto s = static_cast<double>(map.scale);
  const double share = 1.0 / std::sqrt(12.0 * 500.0);
  const double ds = slope([&](double at) { return loss(at, -0.3); }, s) * share / s;
  const double db = slope([&](double at) { return loss(s, at); }, -0.3) * share;
  const std::vector<double> gradient = rule->gradient(numbers, 0, codes, d.sums(), 500);
  EXPECT_NEAR(gradient[0], ds, 1e-5 * std::abs(ds));
  EXPECT_NEAR(gradient[1], db, 1e-5 * std::abs(db));
}

TEST(LsqPlus, OffsetIsRoundedToWholeSteps) {
  const auto rule = make_gradient_rule({"lsq-plus", {}});
  const auto zero_point = [&](float offset) {
    return rule->map_of(std::vector<float>{logarithm_of(0.5), offset}, 0, {0, 15}).zero_point;
  };
  EXPECT_EQ(zero_point(0.0F), 0);
  EXPECT_EQ(zero_point(-0.2F), 0);
  EXPECT_EQ(zero_point(-0.3F), 1);
  EXPECT_EQ(zero_point(-100.0F), 15);
  EXPECT_EQ(zero_point(0.7F), 0) << "real 0 stays a code";
}

TEST(Pact, GradientIsThatOfFiniteDifferences) {
  const CodeRange codes{0, 15};
  const auto rule = make_gradient_rule({"pact", {0.02}});
  const std::vector<float> numbers{logarithm_of(1.2)};
  const ScaleZero map = rule->map_of(numbers, 0, codes);
  EXPECT_FLOAT_EQ(map.scale, 1.2F / 15.0F);
  const Differences d(codes, map, -1.0F, 2.5F);
  const auto loss = [&](double alpha) {  // of clamp(x, 0, alpha), and the decay
    double sum = 0.01 * alpha * alpha;
    for (std::size_t i = 0; i < d.x.size(); ++i) {
      sum += static_cast<double>(d.g[i]) * std::clamp(static_cast<double>(d.x[i]), 0.0, alpha);
    }
    return sum;
  };
  const double want = slope(loss, 1.2) / 1.2;
  EXPECT_NEAR(rule->gradient(numbers, 0, codes, d.sums(), 500)[0], want, 1e-5 * std::abs(want));
}

TEST(DoReFa, WeightsGoThroughTanh) {
  const auto rule = make_gradient_rule({"dorefa", {}});
  const std::vector<float> w{-2.0F, 0.5F, 0.0F, 1.0F};
  std::vector<float> changed(4);
  rule->change(w, changed);
  const double largest = std::tanh(2.0);
  EXPECT_EQ(changed[0], -1.0F);
  EXPECT_FLOAT_EQ(changed[1], static_cast<float>(std::tanh(0.5) / largest));
  EXPECT_EQ(changed[2], 0.0F);
  std::vector<float> dw{1.0F, 2.0F, 3.0F, -4.0F};
  const std::vector<float> g = dw;
  rule->through_change(w, dw);
  for (std::size_t i = 0; i < 4; ++i) {  // the maximum is a constant
    const double want =
        static_cast<double>(g[i]) * slope([&](double x) { return std::tanh(x) / largest; }, static_cast<double>(w[i]));
    EXPECT_NEAR(dw[i], want, 1e-5 * std::abs(want)) << i;
  }
  const std::vector<float> zeros(3, 0.0F);
  std::vector<float> stays(3, 9.0F);
  rule->change(zeros, stays);
  EXPECT_THAT(stays, ElementsAre(0.0F, 0.0F, 0.0F));
}

FakeQuant observing(const char* text) {
  return FakeQuant(parse_activation_quantizer(text), FakeQuant::State::Observing);
}

TEST(LearnedMap, BeginsWithTheFirstBatchThatSaysSomething) {
  FakeQuant output = observing("uint4 lsq");
  EXPECT_FALSE(output.is_learning());
  output.observe(Tensor::from<float>({kNaN, kInfinity}, {2}), 2);
  EXPECT_FALSE(output.has_range());
  output.observe(Tensor::zeros({5}, DType::F32), 5);
  EXPECT_TRUE(output.has_range());
  EXPECT_FALSE(output.is_learning()) << "zeros say nothing of a step";
  output.observe(Tensor::from<float>({0.0F, 1.0F, kNaN, 3.0F}, {4}), 4);
  EXPECT_TRUE(output.is_learning());
  EXPECT_FALSE(output.wants_ranges());
  EXPECT_NEAR(output.map().scale, 2.0 * (4.0 / 3.0) / std::sqrt(15.0), 1e-6);
  EXPECT_EQ(output.map().zero_point, 0);
  const ScaleZero before = output.map();
  output.observe(Tensor::from<float>({-100.0F, 100.0F}, {2}), 2);
  EXPECT_EQ(output.map(), before) << "from then on it is learned";
  EXPECT_FALSE(output.widen({-100.0F, 100.0F}));
}

TEST(LearnedMap, KeepsTheSideOfNegativeValues) {
  FakeQuant output = observing("uint4 lsq");
  output.observe(Tensor::from<float>({-1.0F, 2.0F}, {2}), 2);
  EXPECT_EQ(output.map().zero_point, 5);
  EXPECT_NEAR(output.map().scale, 2.0 * 1.5 / std::sqrt(10.0), 1e-6);
  EXPECT_NEAR(output.range().min, -5 * output.map().scale, 1e-6);
  EXPECT_NEAR(output.range().max, 10 * output.map().scale, 1e-6);
}

TEST(LearnedMap, BeginsWithARangeThatIsSaid) {
  FakeQuant lsq = observing("uint4 min-max lsq");
  lsq.observe(Tensor::from<float>({0.0F, 3.0F}, {2}), 2);
  EXPECT_FLOAT_EQ(lsq.map().scale, 0.2F);
  FakeQuant fixed = observing("uint4 fixed 0 6 lsq");
  EXPECT_TRUE(fixed.is_learning());
  EXPECT_FLOAT_EQ(fixed.map().scale, 0.4F);
  FakeQuant pact = observing("uint4 pact");
  pact.observe(MinMax{0.0F, 3.0F}, 2);
  EXPECT_FLOAT_EQ(pact.map().scale, 0.2F);
  EXPECT_FLOAT_EQ(pact.learned().value.data<float>()[0], std::log(3.0F));
}

TEST(LearnedMap, IsTheOneStoredMapOnceFrozen) {
  FakeQuant output = observing("uint4 lsq");
  output.observe(Tensor::from<float>({0.0F, 1.0F}, {2}), 2);
  output.learned().value.data<float>()[0] = std::log(0.5F);  // as an optimizer does
  EXPECT_FLOAT_EQ(output.map().scale, 0.5F);
  const ScaleZero learned = output.map();
  output.freeze();
  EXPECT_EQ(output.map(), learned);
  output.learned().value.data<float>()[0] = 3.0F;
  EXPECT_EQ(output.map(), learned);
  std::string names;
  for (const nn::Slot& slot : output.slots()) {
    names += slot.name + (slot.parameter != nullptr ? "* " : " ");
  }
  EXPECT_EQ(names, "output_min output_max output_scale output_zero_point output_learned* ");
  EXPECT_FALSE(output.learned().decay);
}

TEST(LearnedMap, ThatHasDivergedIsRefused) {
  FakeQuant output = observing("uint4 lsq");
  output.observe(Tensor::from<float>({0.0F, 1.0F}, {2}), 2);
  output.slots().back().tensor->data<float>()[0] = kNaN;
  EXPECT_THROW(output.check_loaded(), Error);
  EXPECT_THAT(error_of([&] { output.map(); }), HasSubstr("training has diverged"));
}

}  // namespace
}  // namespace detent::quant::gradient_rules_test
