#include "detent/evaluation/evaluate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace detent::evaluation::evaluate_test {
namespace {

using testing::ElementsAre;

TEST(Predictions, AreThoseOfTheKernelWhateverTheNumbers) {
  const float nan = std::nanf("");
  const Tensor logits = Tensor::from<float>({1, 3, 3, 2, nan, 5, nan, -7, -8, nan, nan, nan}, {4, 3});
  EXPECT_THAT(predictions_of(logits), ElementsAre(1, 2, 1, 0)) << "NaN never wins; a row of NaN gives 0";
  EXPECT_THAT(predictions_of(logits.to(DType::BF16)), ElementsAre(1, 2, 1, 0)) << "what products in bf16 give";
  EXPECT_THAT(predictions_of(Tensor::zeros({0, 3}, DType::F32)), ElementsAre());
}

}  // namespace
}  // namespace detent::evaluation::evaluate_test
