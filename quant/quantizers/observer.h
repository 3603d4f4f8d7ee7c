#pragma once

#include <span>
#include <string_view>

#include "detent/core/tensor.h"

namespace detent::quant {

/// What an observer makes of the ranges that it sees.
enum class ObserverKind : std::uint8_t {
  MinMax,         ///< the smallest and the largest value so far
  MovingAverage,  ///< min += constant * (window_min - min), likewise max, once a window of kWindowExamples examples
};
std::string_view name_of(ObserverKind kind);  ///< "min_max", "moving_average"
ObserverKind observer_kind_from_name(std::string_view name);

struct ObserverOptions {
  ObserverKind kind = ObserverKind::MovingAverage;
  float constant = 0.01F;  ///< of the moving average, in (0, 1]
  bool operator==(const ObserverOptions&) const = default;
};

/// A moving average moves after so many examples, or more where a batch has more: an average over the extremes of
/// single examples would fall far short of those of all.
inline constexpr std::int64_t kWindowExamples = 32;

/// Keeps the range of values, for the tensor or for each channel. States: observing (at first), then frozen.
///
/// A moving average joins the extremes of consecutive batches until their examples fill a window, then moves by it. The
/// first window sets the range, at once and batch by batch. Zeros alone (black images, closed ReLUs) say nothing of the
/// values that a range is for: a range of zeros is set anew by the first batch with others, and a window of zeros does
/// not move it.
class Observer {
 public:
  explicit Observer(const ObserverOptions& options, std::int64_t channels = 1);

  /// Takes in the range of one batch of `examples`, one entry a channel; empty entries are passed over. Does nothing
  /// when frozen.
  void observe(std::span<const MinMax> batch, std::int64_t examples);
  void observe(const MinMax& batch, std::int64_t examples) { observe(std::span(&batch, 1), examples); }
  /// Joins `seen` to the range of the one channel, as MinMax does.
  void widen(const MinMax& seen);
  /// The range as it stands; empty where nothing was observed.
  MinMax range(std::int64_t channel = 0) const;
  /// Whether every channel has a range.
  bool has_range() const;

  void freeze() { is_frozen_ = true; }
  bool is_frozen() const { return is_frozen_; }

  /// min and max, f32 [channels]: what is saved. An empty range is saved with min > max.
  Tensor& min() { return min_; }
  Tensor& max() { return max_; }
  /// The window that is not full yet, likewise: its extremes, empty in the first window; its examples, s32 [channels].
  Tensor& window_min() { return window_min_; }
  Tensor& window_max() { return window_max_; }
  Tensor& window_examples() { return window_examples_; }

 private:
  void observe_channel(std::size_t c, const MinMax& batch, std::int64_t examples);

  ObserverOptions options_;
  bool is_frozen_ = false;
  Tensor min_, max_;
  Tensor window_min_, window_max_, window_examples_;
};

/// The range of each row of x [rows, ...]: the observer of weights, one channel a row.
std::vector<MinMax> per_channel_min_max(const Tensor& x);

}  // namespace detent::quant
