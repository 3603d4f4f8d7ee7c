#include "detent/evaluation/evidence/errors.h"

#include <cmath>

#include "detent/core/error.h"

namespace detent::evaluation {

void append_errors(const Tensor& outputs, const Tensor& targets, data::TargetKind kind, std::vector<float>& errors) {
  check(outputs.shape() == targets.shape() && targets.shape().rank() == 2, "errors: expected outputs of shape ",
        targets.shape(), ", got ", outputs.shape());
  const Tensor values = outputs.as(DType::F32, nullptr);
  const std::span<const float> given = values.data<float>();
  const std::span<const float> wanted = targets.data<float>();
  const auto width = static_cast<std::size_t>(targets.shape()[1]);
  for (std::size_t row = 0; row < given.size(); row += width) {
    double sum = 0.0;
    for (std::size_t i = row; i < row + width; ++i) {
      const bool is_wrong = (given[i] > 0.0F) != (wanted[i] > 0.5F);
      sum += kind == data::TargetKind::kValues ? std::abs(double{given[i]} - double{wanted[i]}) : is_wrong ? 1.0 : 0.0;
    }
    errors.push_back(static_cast<float>(sum / static_cast<double>(width)));
  }
}

double mean_error_in(const Slice& slice, std::span<const float> errors) {
  double sum = 0.0;
  for (const std::int64_t example : slice.examples) {
    sum += double{errors[static_cast<std::size_t>(example)]};
  }
  return sum / static_cast<double>(slice.examples.size());
}

ErrorChange error_change_in(const Slice& slice, std::span<const float> a, std::span<const float> b) {
  std::vector<double> differences;
  for (const std::int64_t example : slice.examples) {
    const auto i = static_cast<std::size_t>(example);
    differences.push_back(double{b[i]} - double{a[i]});
  }
  const Spread spread = spread_of(differences);
  return {.slice = slice.name,
          .examples = static_cast<std::int64_t>(slice.examples.size()),
          .error_a = mean_error_in(slice, a),
          .error_b = mean_error_in(slice, b),
          .interval = normal_interval(spread, differences.size())};
}

}  // namespace detent::evaluation
