#include "detent/kernels/codes/batch_sums.h"

#include <gtest/gtest.h>

#include <vector>

#include "detent/core/philox.h"

namespace detent::kernels::batch_sums_test {
namespace {

const std::int64_t kOutputs[] = {1, 3, 16, 20, 32, 50, 64, 100, 513, 1030};
const std::int64_t kRows[] = {1, 2, 7, 131, 1000};

std::vector<std::int32_t> sums_of(std::int64_t rows, std::int64_t outputs) {
  RandomStream random(7, "batch sums", static_cast<std::uint64_t>(rows * 2000 + outputs));
  std::vector<std::int32_t> sums(static_cast<std::size_t>(rows * outputs));
  for (std::int32_t& sum : sums) {
    sum = static_cast<std::int32_t>(random.index(20001)) - 10000;
  }
  return sums;
}

/// In plain loops.
std::vector<SumMoments> moments_of(const std::vector<std::int32_t>& acc, std::int64_t outputs) {
  std::vector<SumMoments> moments(static_cast<std::size_t>(outputs));
  for (std::size_t i = 0; i < acc.size(); ++i) {
    const double value = acc[i];
    moments[i % moments.size()].include({value, value * value, acc[i], acc[i]});
  }
  return moments;
}

/// Of random maps, in which some codes and reals are cut off.
Requantization requantization_of(std::int64_t outputs, bool has_bias, bool relu, CodeRange codes) {
  RandomStream random(8, "requantization", static_cast<std::uint64_t>(outputs));
  QParams weight;
  weight.axis = 0;
  std::vector<float> bias;
  for (std::int64_t o = 0; o < outputs; ++o) {
    weight.scale.push_back(0.5F + random.uniform());
    weight.zero_point.push_back(0);
    bias.push_back(has_bias ? 3.0F * random.normal() : 0.0F);
  }
  return make_requantization({0.001F, 0}, weight, has_bias ? bias : std::vector<float>(), outputs, {0.06F, 101}, codes,
                             relu);
}

TEST(BatchSums, MomentsAgreeWithPlainLoops) {
  for (const std::int64_t outputs : kOutputs) {
    for (const std::int64_t rows : kRows) {
      const std::vector<std::int32_t> acc = sums_of(rows, outputs);
      const std::vector<SumMoments> want = moments_of(acc, outputs);
      std::vector<SumMoments> got(want.size());
      include_moments(acc.data(), rows, outputs, got.data());
      for (std::size_t o = 0; o < want.size(); ++o) {  // whole numbers below 2^53: exact in any order
        ASSERT_EQ(got[o].sum, want[o].sum) << rows << " rows of " << outputs << ", output " << o;
        ASSERT_EQ(got[o].squares, want[o].squares) << rows << " rows of " << outputs << ", output " << o;
        ASSERT_EQ(got[o].smallest, want[o].smallest) << rows << " rows of " << outputs << ", output " << o;
        ASSERT_EQ(got[o].largest, want[o].largest) << rows << " rows of " << outputs << ", output " << o;
      }
    }
  }
}

TEST(BatchSums, MomentsAreIncluded) {
  const std::vector<std::int32_t> acc(256, 5);
  std::vector<SumMoments> moments(2, SumMoments{1.0, 2.0, -3, 4});
  include_moments(acc.data(), 128, 2, moments.data());
  EXPECT_EQ(moments[1].sum, 1.0 + 128 * 5);
  EXPECT_EQ(moments[1].squares, 2.0 + 128 * 25);
  EXPECT_EQ(moments[1].smallest, -3);
  EXPECT_EQ(moments[1].largest, 5);
}

TEST(BatchSums, NarrowSumsAreRoundedToNearestEven) {
  const std::vector<std::int32_t> acc{10, 100, 11, 104, 12, 1000, 13, -1000};
  const std::vector<float> center{10.0F, 100.0F}, inverse_step{0.5F, 0.25F};
  std::vector<std::int8_t> narrow(acc.size());
  narrow_sums(acc.data(), 4, 2, center.data(), inverse_step.data(), narrow.data());
  EXPECT_EQ(narrow, (std::vector<std::int8_t>{0, 0, 0, 1, 1, 127, 2, -127}));
}

/// Codes, mask and narrow sums of one pass are those of the two, and the range that of the moments.
void check_one_pass(std::int64_t rows, std::int64_t outputs, bool has_bias, bool relu, CodeRange codes) {
  SCOPED_TRACE(::testing::Message() << rows << " rows of " << outputs << ", bias " << has_bias << ", relu " << relu
                                    << ", codes up to " << codes.qmax);
  const std::vector<std::int32_t> acc = sums_of(rows, outputs);
  const Requantization r = requantization_of(outputs, has_bias, relu, codes);
  // Some sums lie beyond [-127, 127], some at ties.
  std::vector<float> center(static_cast<std::size_t>(outputs)), inverse_step(center.size(), 1.0F / 64.0F);
  for (std::size_t o = 0; o < center.size(); ++o) {
    center[o] = static_cast<float>(o) * 100.0F - 1000.0F;
  }
  std::vector<std::uint8_t> y(acc.size()), want_y(acc.size());
  std::vector<std::uint8_t> mask(static_cast<std::size_t>(mask_bytes(rows * outputs)), 0xff), want_mask = mask;
  std::vector<std::int8_t> narrow(acc.size()), want_narrow(acc.size());
  MinMax seen;
  requantize(acc.data(), rows, r, want_y.data(), want_mask.data(), &seen);
  narrow_sums(acc.data(), rows, outputs, center.data(), inverse_step.data(), want_narrow.data());
  requantize_and_narrow(acc.data(), rows, r, center.data(), inverse_step.data(), y.data(), mask.data(), narrow.data());
  ASSERT_EQ(y, want_y);
  ASSERT_EQ(mask, want_mask);
  ASSERT_EQ(narrow, want_narrow);
  const MinMax range = range_of_reals(moments_of(acc, outputs), r);
  ASSERT_EQ(range.min, seen.min);
  ASSERT_EQ(range.max, seen.max);
}

TEST(BatchSums, OnePassGivesWhatTwoGive) {
  for (const std::int64_t outputs : kOutputs) {
    for (const std::int64_t rows : kRows) {
      for (const bool relu : {false, true}) {
        check_one_pass(rows, outputs, true, relu, unsigned_codes(8));
        check_one_pass(rows, outputs, false, relu, unsigned_codes(7));
      }
    }
  }
}

/// Codes before clamping beyond s32.
TEST(BatchSums, OnePassSaturates) {
  Requantization r = requantization_of(16, true, false, unsigned_codes(8));
  r.multiplier.assign(16, 0x1p40F);
  const std::vector<std::int32_t> acc = sums_of(64, 16);
  const std::vector<float> center(16, 0.0F), inverse_step(16, 0x1p40F);
  std::vector<std::uint8_t> y(acc.size()), want_y(acc.size()), mask(acc.size() / 8), want_mask(mask.size());
  std::vector<std::int8_t> narrow(acc.size()), want_narrow(acc.size());
  requantize(acc.data(), 64, r, want_y.data(), want_mask.data());
  narrow_sums(acc.data(), 64, 16, center.data(), inverse_step.data(), want_narrow.data());
  requantize_and_narrow(acc.data(), 64, r, center.data(), inverse_step.data(), y.data(), mask.data(), narrow.data());
  EXPECT_EQ(y, want_y);
  EXPECT_EQ(mask, want_mask);
  EXPECT_EQ(narrow, want_narrow);
}

}  // namespace
}  // namespace detent::kernels::batch_sums_test
