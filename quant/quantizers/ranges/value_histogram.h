#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "detent/core/qparams.h"
#include "detent/kernels/codes/histogram.h"
#include "detent/nn/module.h"

namespace detent::quant {

/// `count` levels, `step` apart, of which the lowest is lowest_edge + step / 2.
struct Levels {
  double lowest_edge, step;
  std::int64_t count;
  /// Of the codes of a map.
  static Levels of_map(ScaleZero map, CodeRange codes) {
    const double step = double{map.scale};
    return {step * (static_cast<double>(codes.qmin - map.zero_point) - 0.5), step, codes.qmax - codes.qmin + 1};
  }
};

/// How often values occur, in 2048 bins of one width. Where values lie beyond, the range is doubled to that side and
/// bins are merged in pairs, so that counts stay whole numbers: they depend neither on the order of a batch's values
/// nor on how they were cut into slices.
class ValueHistogram {
 public:
  static constexpr std::int64_t kBins = 2048;

  /// Makes room for values of this range, which is not empty.
  void include(const MinMax& range);
  /// The counts of some values, [kBins]. NaN and infinities do not count. REQUIRES: there is room for them.
  std::vector<double> count(std::span<const float> values) const;
  void add(std::span<const double> counts);

  double total() const;
  std::span<const double> counts() const { return counts_.data<double>(); }
  double bin_width() const { return grid_.data<double>()[1]; }  ///< 0: all values were one
  double lower_edge(std::int64_t bin) const { return grid_.data<double>()[0] + static_cast<double>(bin) * bin_width(); }
  /// A channel's weights are few: most bins are empty.
  struct Bin {
    double number, count;
  };
  std::vector<Bin> occupied() const;
  /// The sum of squared errors of values that lie evenly in the bins `of`, rounded to the nearest of the levels.
  double squared_error(std::span<const Bin> of, const Levels& levels) const;

  /// From the lower edge of bin `first` to the upper edge of bin `last`, as far as values reached.
  MinMax range(std::int64_t first, std::int64_t last) const;

  /// counts f64 [kBins]; grid f64 [4]: the lower end, the width of a bin, the smallest and the largest value.
  std::vector<nn::Slot> slots();
  void check_loaded() const;

 private:
  void double_range(bool downwards);
  kernels::Bins bins() const;

  Tensor counts_ = Tensor::zeros({kBins}, DType::F64);
  Tensor grid_ = Tensor::zeros({4}, DType::F64);
};

}  // namespace detent::quant
