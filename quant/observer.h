#pragma once

#include <span>
#include <string_view>

#include "autograd/tensor.h"

namespace detent::quant {

/// What an observer makes of the ranges that it sees.
enum class ObserverKind : std::uint8_t {
  MinMax,         ///< the smallest and the largest value so far
  MovingAverage,  ///< the first batch sets min and max, then min += constant * (batch_min - min), likewise max
};
std::string_view name_of(ObserverKind kind);  ///< "min_max", "moving_average"
ObserverKind observer_kind_from_name(std::string_view name);

struct ObserverOptions {
  ObserverKind kind = ObserverKind::MovingAverage;
  float constant = 0.01F;  ///< of the moving average, in (0, 1]
  bool operator==(const ObserverOptions&) const = default;
};

/// Keeps the range of values, for the tensor or for each channel. States: observing (at first), then frozen.
class Observer {
 public:
  explicit Observer(const ObserverOptions& options, std::int64_t channels = 1);

  /// Takes in the range of one batch, one entry a channel; empty entries are passed over. Does nothing when frozen.
  void observe(std::span<const MinMax> batch);
  void observe(const MinMax& batch) { observe(std::span(&batch, 1)); }
  /// The range as it stands; empty where nothing was observed.
  MinMax range(std::int64_t channel = 0) const;
  /// Whether every channel has a range.
  bool has_range() const;

  void freeze() { is_frozen_ = true; }
  bool is_frozen() const { return is_frozen_; }

  /// min and max, f32 [channels]: what is saved. An empty range is saved with min > max.
  Tensor& min() { return min_; }
  Tensor& max() { return max_; }

 private:
  ObserverOptions options_;
  bool is_frozen_ = false;
  Tensor min_, max_;
};

/// The range of each row of x [rows, ...]: the observer of weights, one channel a row.
std::vector<MinMax> per_channel_min_max(const Tensor& x);

}  // namespace detent::quant
