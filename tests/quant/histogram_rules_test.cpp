// The range rules that look at how often values occur: what each of them finds.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "detent/core/philox.h"
#include "detent/core/threads/parallel.h"
#include "detent/quant/quantizers/fake_quant.h"
#include "detent/quant/quantizers/ranges/range_rule.h"

namespace detent::histogram_rules_test {
namespace {

using quant::FakeQuant;
using quant::RangeSpec;

constexpr std::size_t kPlaceOfNoSample = 1000;  // samples are the first values of every 1031, 515 at most

FakeQuant observing(const RangeSpec& spec) { return FakeQuant({.range = spec}, FakeQuant::State::Observing); }

TEST(Percentile, CutsTheShareThatItSays) {
  // 0, 1, ..., 9999: bins are about 5 wide.
  Tensor values = Tensor::empty({10'000}, DType::F32);
  for (std::size_t i = 0; i < 10'000; ++i) {
    values.data<float>()[i] = static_cast<float>((i * 7919) % 10'000);
  }
  const auto range_at = [&](double percentile) {
    FakeQuant output = observing({"percentile", {percentile}});
    output.observe(values, 1);
    return output.range();
  };
  EXPECT_EQ(range_at(100), (MinMax{0.0F, 9999.0F}));
  EXPECT_NEAR(range_at(99).min, 100.0F, 5.0F);
  EXPECT_NEAR(range_at(99).max, 9900.0F, 5.0F);
  EXPECT_NEAR(range_at(75).min, 2500.0F, 5.0F);
  EXPECT_NEAR(range_at(75).max, 7500.0F, 5.0F);
  // Most of a closed ReLU is 0, and stays in.
  std::ranges::fill(values.data<float>().first(6000), 0.0F);
  EXPECT_EQ(range_at(99.9).min, 0.0F);
}

TEST(Percentile, RemembersValuesWhenItsRangeGrows) {
  FakeQuant output = observing({"percentile", {99}});
  output.observe(Tensor::full({900}, DType::F32, 1.0), 1);
  output.observe(Tensor::from<float>({0.5F, 1.5F}, {2}), 1);
  output.observe(Tensor::full({98}, DType::F32, 100.0), 1);
  EXPECT_NEAR(output.range().min, 1.0F, 0.1F);
  EXPECT_NEAR(output.range().max, 100.0F, 0.1F) << "98 of 1000 lie there";
  output.observe(Tensor::full({20'000}, DType::F32, 2.0), 1);
  EXPECT_NEAR(output.range().max, 2.0F, 0.1F) << "98 of 21000 do";
}

// Batches of more than 2^16 values are sampled: every channel has its share, extremes count, threads do not.
TEST(Percentile, OfALargeBatchIsThatOfASample) {
  constexpr std::size_t kValues = 1 << 20;
  for (const std::size_t channels : {1U, 64U, 205U, 1024U}) {
    SCOPED_TRACE(testing::Message() << channels << " channels");
    Tensor values = Tensor::empty({kValues}, DType::F32);
    for (std::size_t i = 0; i < kValues; ++i) {
      values.data<float>()[i] = static_cast<float>((i % channels) + 1) / static_cast<float>(channels);
    }
    values.data<float>()[kPlaceOfNoSample] = -3.0F;
    const auto range_at = [&](double percentile) {
      FakeQuant output = observing({"percentile", {percentile}});
      output.observe(values, 1);
      return output.range();
    };
    EXPECT_EQ(range_at(100), (MinMax{-3.0F, 1.0F}));
    if (channels > 1) {
      EXPECT_NEAR(range_at(75).min, 0.25F, 0.02F);
      EXPECT_NEAR(range_at(75).max, 0.75F, 0.02F);
    }
  }
}

TEST(Percentile, OfALargeBatchIsTheSameOnAnyNumberOfThreads) {
  Tensor values = Tensor::empty({3'000'001}, DType::F32);
  RandomStream random(4, "large");
  for (float& x : values.data<float>()) {
    x = random.uniform(-1, 1) + random.uniform(-1, 1);
  }
  for (const char* const rule : {"percentile 99", "histogram", "mse", "kl"}) {
    std::vector<MinMax> ranges;
    for (const int threads : {1, 3}) {
      ThreadPool pool(threads);
      pool.run([&] {
        FakeQuant output = observing(quant::parse_range(rule));
        output.observe(values, 1);
        ranges.push_back(output.range());
      });
    }
    EXPECT_EQ(ranges[0], ranges[1]) << rule;
  }
}

// A batch that is counted whole weighs as much a value as one that is sampled.
TEST(Percentile, OfBatchesOfAllSizesWeighsValuesAlike) {
  FakeQuant output = observing({"percentile", {90}});
  output.observe(Tensor::full({1 << 20}, DType::F32, 1.0), 1);
  output.observe(Tensor::full({1 << 17}, DType::F32, 2.0), 1);
  EXPECT_NEAR(output.range().max, 2.0F, 0.01F) << "one of nine";
  output.observe(Tensor::full({1 << 19}, DType::F32, 1.0), 1);
  EXPECT_NEAR(output.range().max, 1.0F, 0.01F) << "one of thirteen";
}

/// The squared error of values rounded to `levels` levels in the middles of equal parts of the range.
double squared_error(const Tensor& values, const MinMax& range, double levels) {
  const double part = (double{range.max} - double{range.min}) / levels;
  double sum = 0.0;
  for (const float x : values.data<float>()) {
    const double level = std::clamp(std::floor((double{x} - double{range.min}) / part), 0.0, levels - 1.0);
    sum += std::pow(double{x} - double{range.min} - (level + 0.5) * part, 2);
  }
  return sum;
}

// A bell with a few values far out: the best range of 4 bits leaves them, that of 8 bits keeps more.
TEST(Histogram, FindsARangeOfLessError) {
  Tensor values = Tensor::empty({20'000}, DType::F32);
  RandomStream random(1, "histogram");
  for (float& x : values.data<float>()) {
    x = random.uniform(-1, 1) + random.uniform(-1, 1) + random.uniform(-1, 1) + random.uniform(-1, 1);
  }
  values.data<float>()[5] = 12.0F;
  values.data<float>()[6] = -10.0F;
  float widest = 0.0F;
  for (const int bits : {2, 4, 8}) {
    FakeQuant output({.grid = {.bits = bits}, .range = {"histogram", {}}}, FakeQuant::State::Observing);
    output.observe(values, 1);
    const MinMax found = output.range();
    const double levels = std::ldexp(1.0, bits);
    const double error = squared_error(values, found, levels);
    EXPECT_LE(error, squared_error(values, {-10.0F, 12.0F}, levels)) << bits << " bits";
    if (bits == 4) {
      EXPECT_LT(error, 0.5 * squared_error(values, {-10.0F, 12.0F}, levels));
      for (const float reach : {2.0F, 2.5F, 3.0F, 3.5F, 4.0F, 5.0F, 6.0F}) {
        EXPECT_LT(error, 1.1 * squared_error(values, {-reach, reach}, levels)) << "[-" << reach << ", " << reach << "]";
      }
    }
    EXPECT_GE(found.max - found.min, widest) << bits << " bits";
    widest = found.max - found.min;
  }
}

/// Of values fake-quantized with the map that a rule chose, by the quantizer itself.
double error_of_map(const Tensor& values, const quant::QuantizerSpec& spec) {
  FakeQuant output(spec, FakeQuant::State::Observing);
  output.observe(values, 1);
  const ScaleZero map = output.map();
  double sum = 0.0;
  for (const float x : values.data<float>()) {
    const double code =
        std::clamp(std::nearbyint(double{x} / double{map.scale}) + map.zero_point,
                   double{static_cast<double>(spec.codes().qmin)}, double{static_cast<double>(spec.codes().qmax)});
    sum += std::pow(double{x} - double{map.scale} * (code - map.zero_point), 2);
  }
  return sum;
}

/// Bells of other widths to the left and to the right, and a few values far out.
Tensor lopsided_with_outliers() {
  Tensor values = Tensor::empty({20'000}, DType::F32);
  RandomStream random(2, "lopsided");
  for (float& x : values.data<float>()) {
    x = random.uniform(-1, 1) + random.uniform(-1, 1) + random.uniform(-1, 1) + random.uniform(-1, 1);
    x *= x < 0.0F ? 0.25F : 1.0F;
  }
  values.data<float>()[5] = 20.0F;
  values.data<float>()[6] = -15.0F;
  return values;
}

TEST(Mse, FindsTheMapOfLeastError) {
  const Tensor values = lopsided_with_outliers();
  for (const int bits : {2, 3, 4, 6, 8}) {
    const quant::QuantizerSpec mse{.grid = {.bits = bits}, .range = {"mse", {}}};
    const double error = error_of_map(values, mse);
    for (const quant::RangeSpec& other : {RangeSpec{"min-max", {}}, RangeSpec{"histogram", {}}, RangeSpec{"kl", {}},
                                          RangeSpec{"percentile", {99.9}}, RangeSpec{"percentile", {99.0}}}) {
      quant::QuantizerSpec spec = mse;
      spec.range = other;
      EXPECT_LE(error, 1.02 * error_of_map(values, spec)) << bits << " bits, " << quant::to_text(other);
    }
    // No range of a dense grid is much better.
    for (float low = -15.0F; low<0.0F; low *= 0.8F, low += low> - 0.05F ? 1.0F : 0.0F) {
      for (float high = 20.0F; high > 0.1F; high *= 0.8F) {
        quant::QuantizerSpec spec = mse;
        spec.range = {"fixed", {low, high}};
        ASSERT_LE(error, 1.1 * error_of_map(values, spec)) << bits << " bits, [" << low << ", " << high << "]";
      }
    }
  }
}

TEST(Mse, OfWeightsIsThatOfSymmetricCodes) {
  const Tensor values = lopsided_with_outliers();
  const quant::RangeTarget target{signed_codes(4), Scheme::Symmetric};
  const MinMax range = quant::range_of({"mse", {}}, target, values.data<float>());
  const float reach = std::max(-range.min, range.max);
  EXPECT_GT(reach, 2.0F);
  EXPECT_LT(reach, 5.0F) << "values beyond are 2 of 20000";
}

TEST(Kl, LeavesOutliersAndKeepsWhatIsEven) {
  const Tensor values = lopsided_with_outliers();
  FakeQuant output = observing({"kl", {}});
  output.observe(values, 1);
  EXPECT_LT(output.range().max, 10.0F);
  EXPECT_GT(output.range().max, 2.0F);
  // Values that fill their range evenly: clipping any of them piles them up at the end.
  Tensor even = Tensor::empty({20'480}, DType::F32);
  for (std::size_t i = 0; i < 20'480; ++i) {
    even.data<float>()[i] = static_cast<float>(i) / 20'480.0F;
  }
  FakeQuant whole = observing({"kl", {}});
  whole.observe(even, 1);
  EXPECT_GT(whole.range().max, 0.97F);
}

}  // namespace
}  // namespace detent::histogram_rules_test
