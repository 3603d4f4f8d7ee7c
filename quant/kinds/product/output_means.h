#pragma once

#include <vector>

#include "detent/core/tensor.h"

namespace detent::quant {

/// The mean of each output channel of a product over all examples and positions that it was shown, in f64, summed in
/// their order.
class OutputMeans {
 public:
  /// `y` f32 [N, OH, OW, O] or [N, O].
  void add(const Tensor& y) {
    const Shape& shape = y.shape();
    sums_.resize(static_cast<std::size_t>(shape[shape.rank() - 1]), 0.0);
    const std::span<const float> values = y.data<float>();
    for (auto row = values.begin(); row != values.end(); row += static_cast<std::ptrdiff_t>(sums_.size())) {
      for (std::size_t o = 0; o < sums_.size(); ++o) {
        sums_[o] += static_cast<double>(row[static_cast<std::ptrdiff_t>(o)]);
      }
    }
    rows_ += y.elements() / static_cast<std::int64_t>(sums_.size());
  }
  /// Empty if nothing was shown.
  std::vector<double> means() const {
    std::vector<double> means = sums_;
    for (double& mean : means) {
      mean /= static_cast<double>(rows_);
    }
    return means;
  }

 private:
  std::vector<double> sums_;
  std::int64_t rows_ = 0;
};

}  // namespace detent::quant
