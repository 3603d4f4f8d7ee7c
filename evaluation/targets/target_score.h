#pragma once

#include <vector>

#include "detent/data/dataset.h"

namespace detent::evaluation {

/// How far predicted real numbers p are from their targets y.
struct ValueErrors {
  double r2 = 0.0;  ///< 1 - sum (y - p)^2 / sum (y - mean y)^2; of targets that are all equal 1 if each p = y, else 0
  double mean_absolute_error = 0.0;      ///< mean |y - p|
  double root_mean_squared_error = 0.0;  ///< sqrt(mean (y - p)^2)
};

/// How well outputs fit their targets, as sums over examples. They are taken in the order of the examples, in double,
/// so that they do not depend on threads. Two scores of one data set add up; parts of values are joined as Chan, Golub,
/// LeVeque 1983 join variances.
struct TargetScore {
  /// Of one column of real numbers.
  struct Column {
    double mean = 0.0;            ///< of the targets
    double deviation = 0.0;       ///< sum (y - mean)^2
    double absolute_error = 0.0;  ///< sum |y - p|
    double squared_error = 0.0;   ///< sum (y - p)^2
    bool operator==(const Column&) const = default;
  };

  data::TargetKind targets = data::TargetKind::kClasses;
  std::int64_t examples = 0;
  std::int64_t correct = 0;          ///< classes: the largest output is the label's; flags: all K are right
  std::int64_t flags = 0;            ///< flags: examples times K
  std::int64_t flags_right = 0;      ///< flags: of them. An output says yes where it is above 0, that is p > 1/2
  std::vector<Column> columns = {};  ///< values: of the K columns
  bool operator==(const TargetScore&) const = default;

  /// Takes in a batch: outputs [B, K], f32 or as products give them, and the labels of a data set's batch. Throws Error
  /// where these do not fit `targets`.
  void add(const Tensor& outputs, const Tensor& labels);
  void add(const TargetScore& other);

  /// The one number that says how good a model is: the share of examples that are right, of values R2. 0 without
  /// examples.
  double value() const;
  /// The share of flags that are right.
  double mean_accuracy() const;
  ValueErrors errors(std::size_t column) const;
  /// The mean of each number over the columns.
  ValueErrors errors() const;
};

/// What TargetScore::value is called: "accuracy", of values "R2".
const char* measure_of(data::TargetKind targets);

}  // namespace detent::evaluation
