#pragma once

#include <vector>

#include "detent/evaluation/compare.h"

namespace detent::evaluation {

/// The reals that a layer's values stand for.
std::vector<float> reals_of(const Tensor& values);

/// What a LayerDifference is made of, batch by batch. Sums are taken in double, in the order of the examples.
class LayerSums {
 public:
  /// REQUIRES: `a` and `b` are of one shape, and those of one layer.
  void add(const Tensor& a, const Tensor& b, LayerDifference& layer);
  /// The means and ratios of all that was added: at least one value.
  void close(LayerDifference& layer) const;

 private:
  double absolute_ = 0.0, squared_error_ = 0.0, squared_a_ = 0.0, squared_b_ = 0.0, product_ = 0.0;
  std::int64_t saturated_ = 0, codes_b_ = 0;
};

}  // namespace detent::evaluation
