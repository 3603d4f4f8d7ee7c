// What every range rule must keep, and what each of them gives.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "detent/core/philox.h"
#include "detent/core/threads/parallel.h"
#include "detent/quant/quantizers/fake_quant.h"
#include "detent/quant/quantizers/ranges/range_rule.h"
#include "tests/error_of.h"

namespace detent::range_rules_test {
namespace {

using quant::FakeQuant;
using quant::RangeSpec;
using ::testing::HasSubstr;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// A rule with numbers that suit it.
struct Row {
  RangeSpec spec;
  bool may_widen = true;
  bool keeps_outliers = true;  ///< whether a single large value widens the range
};

const std::vector<Row>& rows() {
  static const std::vector<Row> all{
      {{"min-max", {}}},                       //
      {{"moving-average", {0.25}}},            //
      {{"percentile", {99.5}}, false, false},  //
      {{"histogram", {}}, false},              //
      {{"mse", {}}, false},                    //
      {{"kl", {}}, false, false},              //
      {{"fixed", {-1.5, 6.0}}, false, false},  //
  };
  return all;
}

/// Batches whose ranges grow, shrink and move, with NaN and infinities among them.
Tensor batch_of(std::uint64_t number, std::int64_t count = 200'000) {
  RandomStream random(number, "range rules");
  const float scale = std::ldexp(1.0F, static_cast<int>(number % 5) - 2);
  Tensor values = Tensor::empty({count}, DType::F32);
  for (float& x : values.data<float>()) {
    const float bell = random.uniform(-1, 1) + random.uniform(-1, 1) + random.uniform(-1, 1);
    x = scale * bell + (number % 3 == 0 ? 1.0F : 0.0F);
  }
  values.data<float>()[7] = kNaN;
  values.data<float>()[9] = number % 2 == 0 ? kInfinity : -kInfinity;
  return values;
}

FakeQuant observing(const RangeSpec& spec) { return FakeQuant({.range = spec}, FakeQuant::State::Observing); }

/// The state as it is saved, bit for bit.
std::vector<std::byte> state_of(FakeQuant& output) {
  std::vector<std::byte> bytes;
  for (const nn::Slot& slot : output.slots()) {
    const std::byte* const raw = std::as_const(*slot.tensor).raw();
    bytes.insert(bytes.end(), raw, raw + slot.tensor->bytes());
  }
  return bytes;
}

class RangeRules : public testing::TestWithParam<std::size_t> {
 protected:
  const Row& row() const { return rows()[GetParam()]; }
};

TEST_P(RangeRules, GiveAFiniteRangeThatHoldsZeroOnItsMap) {
  FakeQuant output = observing(row().spec);
  for (std::uint64_t number = 0; number < 8; ++number) {
    output.observe(batch_of(number), 16);
    const MinMax range = output.range();
    ASSERT_TRUE(std::isfinite(range.min) && std::isfinite(range.max)) << "batch " << number;
    ASSERT_LT(range.min, range.max) << "batch " << number;
    output.qparams()->validate();  // 0 is a code
  }
}

TEST_P(RangeRules, DoNotDependOnThreads) {
  const auto run = [&](int threads) {
    FakeQuant output = observing(row().spec);
    ThreadPool pool(threads);
    pool.run([&] {
      for (std::uint64_t number = 0; number < 4; ++number) {
        output.observe(batch_of(number), 16);
      }
    });
    return state_of(output);
  };
  const std::vector<std::byte> one = run(1);
  EXPECT_EQ(run(2), one);
  EXPECT_EQ(run(3), one);
}

TEST_P(RangeRules, DoNotDependOnHowABatchIsCutOrOrdered) {
  const Tensor values = batch_of(3, 3000);
  const std::span<const float> all = values.data<float>();
  const MinMax batch{-0.5F, 4.0F};  // beyond what is seen on one side, so that clamping shows
  const auto range_in = [&](std::vector<std::size_t> cuts, bool backwards) {
    const auto rule = quant::make_range_rule(row().spec, {unsigned_codes(8), Scheme::Affine});
    rule->begin(batch);
    cuts.push_back(all.size());
    std::vector<std::span<const float>> slices;
    for (std::size_t i = 0, begin = 0; i < cuts.size(); begin = cuts[i++]) {
      slices.push_back(all.subspan(begin, cuts[i] - begin));
    }
    if (backwards) {
      std::ranges::reverse(slices);
    }
    for (const std::span<const float> slice : slices) {
      rule->merge(rule->collect(slice));
    }
    return rule->observe(rule->initial(), batch, 8);
  };
  const MinMax whole = range_in({}, false);
  EXPECT_EQ(range_in({1, 2, 1000, 2999}, false), whole);
  EXPECT_EQ(range_in({500, 501}, true), whole);
}

TEST_P(RangeRules, FrozenOnesDoNotMove) {
  FakeQuant output = observing(row().spec);
  output.observe(batch_of(1), 16);
  output.freeze();
  const std::vector<std::byte> before = state_of(output);
  EXPECT_EQ(output.slots().size(), 4U) << "range and map";
  output.observe(batch_of(4), 64);
  EXPECT_EQ(state_of(output), before);
}

TEST_P(RangeRules, GoOnAfterSavingAsIfNothingWere) {
  FakeQuant whole = observing(row().spec);
  FakeQuant before = observing(row().spec);
  for (std::uint64_t number = 0; number < 3; ++number) {
    whole.observe(batch_of(number), 10);
    before.observe(batch_of(number), 10);
  }
  FakeQuant after = observing(row().spec);
  const std::vector<nn::Slot> from = before.slots();
  const std::vector<nn::Slot> to = after.slots();
  ASSERT_EQ(from.size(), to.size());
  for (std::size_t i = 0; i < from.size(); ++i) {
    EXPECT_EQ(from[i].name, to[i].name);
    EXPECT_EQ(from[i].tensor->shape(), from[i].shape) << from[i].name;
    EXPECT_EQ(from[i].tensor->dtype(), from[i].dtype) << from[i].name;
    *to[i].tensor = from[i].tensor->clone();
  }
  after.check_loaded();
  for (std::uint64_t number = 3; number < 6; ++number) {
    whole.observe(batch_of(number), 10);
    after.observe(batch_of(number), 10);
    EXPECT_EQ(state_of(after), state_of(whole)) << "batch " << number;
  }
}

TEST_P(RangeRules, PassOverBatchesWithoutAFiniteValue) {
  FakeQuant output = observing(row().spec);
  output.observe(batch_of(2), 16);
  const std::vector<std::byte> before = state_of(output);
  output.observe(Tensor::from<float>({kNaN, kInfinity, kNaN}, {3}), 16);
  EXPECT_EQ(state_of(output), before);
  output.observe(Tensor::empty({0}, DType::F32), 16);
  EXPECT_EQ(state_of(output), before);
  EXPECT_THROW(output.observe(batch_of(2), 0), Error) << "a batch has examples";
}

TEST_P(RangeRules, TakeOneValueAndThenOthers) {
  FakeQuant output = observing(row().spec);
  output.observe(Tensor::full({50}, DType::F32, 0.0), 1);
  output.qparams()->validate();
  output.observe(Tensor::from<float>({0.0F, 0.0F, 2.0F, 1.0F}, {4}), 1);
  output.observe(Tensor::full({1}, DType::F32, -3e38), 1);
  output.observe(Tensor::full({1}, DType::F32, 3e38), 1);
  output.observe(Tensor::full({1}, DType::F32, 1e-40), 1);
  EXPECT_TRUE(std::isfinite(output.range().min) && std::isfinite(output.range().max));
  output.qparams()->validate();
}

TEST_P(RangeRules, SayWhetherTheyMayBeWidened) {
  FakeQuant output = observing(row().spec);
  output.observe(batch_of(1), 64);
  const MinMax before = output.range();
  EXPECT_EQ(output.widen({-100.0F, 100.0F}), row().may_widen);
  EXPECT_EQ(output.range(), (row().may_widen ? MinMax{-100.0F, 100.0F} : before));
}

TEST_P(RangeRules, ServeWeightsInOneBatch) {
  std::vector<float> values(1000, 0.0F);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(i % 100) - 50.0F;
  }
  const quant::RangeTarget target{signed_codes(8), Scheme::Symmetric};
  const MinMax range = quant::range_of(row().spec, target, values);
  ASSERT_LT(range.min, range.max);
  values[0] = 1e4F;
  const MinMax with_outlier = quant::range_of(row().spec, target, values);
  EXPECT_EQ(with_outlier.max > 9e3F, row().keeps_outliers) << with_outlier.max;
  EXPECT_TRUE(quant::range_of(row().spec, target, std::vector<float>{kNaN}).empty());
}

TEST_P(RangeRules, AreReadFromTheTextThatTheyPrint) {
  EXPECT_EQ(quant::parse_range(quant::to_text(row().spec)), row().spec);
}

std::string name_of_row(const testing::TestParamInfo<std::size_t>& row) {
  std::string name = rows()[row.param].spec.rule;
  std::erase(name, '-');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, RangeRules, testing::Range(std::size_t{0}, rows().size()), name_of_row);

TEST(RangeRule, EveryOneHasARow) {
  for (const std::string& name : quant::range_rule_names()) {
    EXPECT_TRUE(std::ranges::any_of(rows(), [&](const Row& row) { return row.spec.rule == name; }) ||
                name.starts_with("test-"))
        << name << " has no row in the table of this test";
  }
}

TEST(Fixed, HasItsRangeFromTheStart) {
  FakeQuant output = observing({"fixed", {0, 6}});
  EXPECT_TRUE(output.has_range());
  EXPECT_EQ(output.map(), (ScaleZero{6.0F / 255.0F, 0}));
  output.freeze();
}

TEST(RangeRule, GivesCalibrationTheRangeThatTrainingWouldSee) {
  for (const Row& row : rows()) {
    FakeQuant calibrating({.range = row.spec}, FakeQuant::State::Calibrating);
    FakeQuant training = observing(row.spec);
    for (std::uint64_t number = 0; number < 4; ++number) {
      const Tensor batch = batch_of(number, 3000);
      training.observe(batch, 10);
      calibrating.observe(batch, 10);
      if (number == 1) {
        EXPECT_EQ(calibrating.range(), training.range()) << to_text(row.spec);
      }
    }
    const Tensor& saved = *calibrating.slots()[2].tensor;
    EXPECT_EQ(saved.data<float>()[0], training.map().scale) << to_text(row.spec);
    EXPECT_EQ(calibrating.map(), training.map()) << to_text(row.spec);
    EXPECT_EQ(calibrating.range(), training.range()) << to_text(row.spec);
    calibrating.observe(batch_of(7, 3000), 10);
    training.observe(batch_of(7, 3000), 10);
    calibrating.freeze();
    EXPECT_EQ(calibrating.map(), training.map()) << to_text(row.spec);
  }
}

/// A rule of one's own: three standard deviations of all values so far.
class ThreeSigma : public quant::RangeRule {
 public:
  quant::RangeNeeds needs() const override { return quant::RangeNeeds::Values; }
  std::vector<double> collect(std::span<const float> values) const override {
    std::vector<double> sums(3, 0.0);
    for (const double x : values) {
      sums[0] += 1.0;
      sums[1] += x;
      sums[2] += x * x;
    }
    return sums;
  }
  void merge(std::span<const double> sums) override {
    for (std::size_t i = 0; i < 3; ++i) {
      total_[i] += sums[i];
    }
  }
  MinMax observe(const MinMax&, const MinMax&, std::int64_t) override {
    const double mean = total_[1] / total_[0];
    const double reach = 3.0 * std::sqrt(total_[2] / total_[0] - mean * mean);
    return {static_cast<float>(mean - reach), static_cast<float>(mean + reach)};
  }

 private:
  double total_[3] = {};
};

TEST(RangeRule, OnesOwnIsRegisteredUnderItsName) {
  const quant::RangeRuleKind kind{
      .name = "test-three-sigma", .example = "test-three-sigma", .make = [](auto, const quant::RangeTarget&) {
        return std::make_unique<ThreeSigma>();
      }};
  if (quant::find_range_rule(kind.name) == nullptr) {
    quant::register_range_rule(kind);
  }
  EXPECT_THAT(error_of([&] { quant::register_range_rule(kind); }), HasSubstr("'test-three-sigma' is taken"));
  for (const char* const taken : {"int7", "affine", "per-tensor", "min-max"}) {
    quant::RangeRuleKind named = kind;
    named.name = taken;
    EXPECT_THAT(error_of([&] { quant::register_range_rule(named); }), HasSubstr("is taken")) << taken;
  }
  quant::RangeRuleKind bad = kind;
  bad.name = "Three Sigma";
  EXPECT_THAT(error_of([&] { quant::register_range_rule(bad); }), HasSubstr("expected a name of lower-case letters"));

  const quant::QuantizerSpec spec = quant::parse_activation_quantizer("uint8 test-three-sigma");
  EXPECT_EQ(quant::to_text(spec), "uint8 per-tensor affine test-three-sigma");
  FakeQuant output(spec, FakeQuant::State::Observing);
  output.observe(Tensor::from<float>({-1.0F, 1.0F}, {2}), 2);
  EXPECT_EQ(output.range(), (MinMax{-3.0F, 3.0F}));
  EXPECT_THAT(error_of([&] {
                output.observe(MinMax{-1.0F, 1.0F}, 2);
              }),
              HasSubstr("the range rule 'test-three-sigma' needs values"));
}

}  // namespace
}  // namespace detent::range_rules_test
