#include "detent/evaluation/evidence/confidence.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/error_of.h"

namespace detent::evaluation::confidence_test {
namespace {

Confidence of(const std::vector<float>& outputs, std::int32_t predicted, bool are_probabilities = false) {
  return confidence_of(outputs, predicted, are_probabilities);
}

TEST(Confidence, IsTheSoftmaxAndItsLead) {
  const Confidence sure = of({0.0F, std::log(3.0F), 0.0F}, 1);  // 1 : 3 : 1
  EXPECT_NEAR(double{sure.confidence}, 0.6, 1e-6);
  EXPECT_NEAR(double{sure.margin}, 0.4, 1e-6);
  const Confidence tie = of({5.0F, 5.0F}, 0);
  EXPECT_FLOAT_EQ(tie.confidence, 0.5F);
  EXPECT_FLOAT_EQ(tie.margin, 0.0F);
  const Confidence huge = of({-1e30F, 1e30F}, 1);
  EXPECT_FLOAT_EQ(huge.confidence, 1.0F);
  EXPECT_FLOAT_EQ(huge.margin, 1.0F);
}

TEST(Confidence, TakesProbabilitiesAsTheyAre) {
  const Confidence sure = of({0.25F, 0.625F, 0.125F}, 1, true);
  EXPECT_FLOAT_EQ(sure.confidence, 0.625F);
  EXPECT_FLOAT_EQ(sure.margin, 0.375F);
}

TEST(Confidence, OfOneClassOrOfWhatIsNotFinite) {
  EXPECT_FLOAT_EQ(of({-3.0F}, 0).confidence, 1.0F);
  EXPECT_FLOAT_EQ(of({-3.0F}, 0).margin, 1.0F);
  EXPECT_FLOAT_EQ(of({0.5F}, 0, true).margin, 0.5F);
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    EXPECT_EQ(of({1.0F, bad}, 0).confidence, 0.0F);
    EXPECT_EQ(of({1.0F, bad}, 0).margin, 0.0F);
  }
}

// By hand: bin 10 of (0.6, 0.667] holds 0.65 right and 0.61 wrong: |1.26 - 1| = 0.26; bin 15 holds 0.95 right and 1.0
// wrong: |1.95 - 1| = 0.95; bin 1 holds 0 wrong: 0; bin 5 holds 0.3 right: |0.3 - 1| = 0.7. Together 1.91 of 6.
TEST(CalibrationError, IsTheGapOfEveryBin) {
  const std::vector<float> confidences{0.65F, 0.61F, 0.95F, 1.0F, 0.0F, 0.3F};
  const std::vector<std::int32_t> predictions{1, 2, 3, 4, 5, 6};
  const std::vector<std::int32_t> labels{1, 0, 3, 0, 0, 6};
  EXPECT_NEAR(calibration_error(confidences, predictions, labels), 1.91 / 6.0, 1e-6);
}

TEST(CalibrationError, IsZeroWhereConfidenceIsTheShareThatIsRight) {
  const std::vector<float> confidences(4, 0.75F);
  const std::vector<std::int32_t> predictions{1, 1, 1, 1};
  const std::vector<std::int32_t> labels{1, 1, 1, 0};
  EXPECT_NEAR(calibration_error(confidences, predictions, labels), 0.0, 1e-12);
  EXPECT_EQ(calibration_error({}, {}, {}), 0.0);
  EXPECT_NE(error_of([&] { calibration_error(confidences, predictions, {}); }), "no error");
}

}  // namespace
}  // namespace detent::evaluation::confidence_test
