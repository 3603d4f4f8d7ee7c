#include "detent/evaluation/targets/target_score.h"

#include <cmath>

#include "detent/evaluation/evaluate.h"

namespace detent::evaluation {
namespace {

double share_of(std::int64_t part, std::int64_t all) {
  return all == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(all);
}

void check_outputs(const Tensor& outputs, const Tensor& labels) {
  check(outputs.shape() == labels.shape() && labels.dtype() == DType::F32 && labels.shape().rank() == 2,
        "score: expected outputs like the targets f32 [N, K], got ", outputs.shape(), " and ", labels.dtype(), ' ',
        labels.shape());
}

// Joins what is known of `count` targets with one more.
void add_target(TargetScore::Column& column, double count, double target, double prediction) {
  const double distance = target - column.mean;
  column.mean += distance / (count + 1.0);
  column.deviation += distance * (target - column.mean);
  column.absolute_error += std::abs(target - prediction);
  column.squared_error += (target - prediction) * (target - prediction);
}

void add_values(TargetScore& score, const Tensor& outputs, const Tensor& labels) {
  const std::int64_t rows = labels.shape()[0];
  const auto width = static_cast<std::size_t>(labels.shape()[1]);
  score.columns.resize(std::max(score.columns.size(), width));
  const std::span<const float> predictions = outputs.data<float>();
  const std::span<const float> targets = labels.data<float>();
  for (std::size_t at = 0; at < targets.size(); ++at) {
    const auto before = static_cast<double>(score.examples + static_cast<std::int64_t>(at / width));
    add_target(score.columns[at % width], before, static_cast<double>(targets[at]),
               static_cast<double>(predictions[at]));
  }
  score.examples += rows;
}

void add_flags(TargetScore& score, const Tensor& outputs, const Tensor& labels) {
  const std::int64_t rows = labels.shape()[0];
  const auto width = static_cast<std::size_t>(labels.shape()[1]);
  const std::span<const float> logits = outputs.data<float>();
  const std::span<const float> flags = labels.data<float>();
  for (std::size_t row = 0; row < static_cast<std::size_t>(rows); ++row) {
    std::int64_t right = 0;
    for (std::size_t at = row * width; at < (row + 1) * width; ++at) {
      right += (logits[at] > 0.0F) == (flags[at] != 0.0F) ? 1 : 0;
    }
    score.flags_right += right;
    score.correct += right == static_cast<std::int64_t>(width) ? 1 : 0;
  }
  score.flags += static_cast<std::int64_t>(flags.size());
  score.examples += rows;
}

TargetScore::Column joined(const TargetScore::Column& a, std::int64_t count_a, const TargetScore::Column& b,
                           std::int64_t count_b) {
  const auto n_a = static_cast<double>(count_a);
  const auto n_b = static_cast<double>(count_b);
  const double distance = b.mean - a.mean;
  return {.mean = a.mean + distance * n_b / (n_a + n_b),
          .deviation = a.deviation + b.deviation + distance * distance * n_a * n_b / (n_a + n_b),
          .absolute_error = a.absolute_error + b.absolute_error,
          .squared_error = a.squared_error + b.squared_error};
}

}  // namespace

void TargetScore::add(const Tensor& outputs, const Tensor& labels) {
  if (targets == data::TargetKind::kClasses) {
    const std::vector<std::int32_t> predictions = predictions_of(outputs);
    correct += count_correct(predictions, labels);
    examples += static_cast<std::int64_t>(predictions.size());
    return;
  }
  check_outputs(outputs, labels);
  const Tensor values = outputs.as(DType::F32, nullptr);
  targets == data::TargetKind::kValues ? add_values(*this, values, labels) : add_flags(*this, values, labels);
}

void TargetScore::add(const TargetScore& other) {
  if (other.examples == 0) {
    return;
  }
  if (examples == 0) {
    *this = other;
    return;
  }
  check(targets == other.targets && columns.size() == other.columns.size(),
        "score: the two are of targets of other kinds");
  for (std::size_t i = 0; i < columns.size(); ++i) {
    columns[i] = joined(columns[i], examples, other.columns[i], other.examples);
  }
  examples += other.examples;
  correct += other.correct;
  flags += other.flags;
  flags_right += other.flags_right;
}

double TargetScore::value() const {
  return targets == data::TargetKind::kValues ? errors().r2 : share_of(correct, examples);
}

double TargetScore::mean_accuracy() const { return share_of(flags_right, flags); }

ValueErrors TargetScore::errors(std::size_t column) const {
  const Column& sums = columns[column];
  const auto count = static_cast<double>(examples);
  const double constant = sums.squared_error == 0.0 ? 1.0 : 0.0;
  return {.r2 = sums.deviation == 0.0 ? constant : 1.0 - sums.squared_error / sums.deviation,
          .mean_absolute_error = sums.absolute_error / count,
          .root_mean_squared_error = std::sqrt(sums.squared_error / count)};
}

ValueErrors TargetScore::errors() const {
  ValueErrors mean;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const ValueErrors of_column = errors(i);
    const double share = 1.0 / static_cast<double>(columns.size());
    mean.r2 += share * of_column.r2;
    mean.mean_absolute_error += share * of_column.mean_absolute_error;
    mean.root_mean_squared_error += share * of_column.root_mean_squared_error;
  }
  return mean;
}

const char* measure_of(data::TargetKind targets) { return targets == data::TargetKind::kValues ? "R2" : "accuracy"; }

}  // namespace detent::evaluation
