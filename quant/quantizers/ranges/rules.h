#pragma once

#include <deque>

#include "detent/quant/quantizers/ranges/range_rule.h"

/// The rules of the library: one source each.
namespace detent::quant {

inline constexpr std::string_view kMinMaxRule = "min-max";
inline constexpr std::string_view kMovingAverageRule = "moving-average";
inline constexpr std::string_view kFixedRule = "fixed";
/// Of the moving average.
inline constexpr double kMovingAverageConstant = 0.01;

/// A moving average moves after so many examples, or more where a batch has more: an average over the extremes of
/// single examples would fall far short of those of all.
inline constexpr std::int64_t kWindowExamples = 32;

/// The smallest and the largest value so far.
RangeRuleKind min_max_rule();
/// min += c * (window_min - min), likewise max, once a window of kWindowExamples examples; c in (0, 1], 0.01 if not
/// said.
///
/// It joins the extremes of consecutive batches until their examples fill a window, then moves by it. The first window
/// sets the range, at once and batch by batch. Zeros alone (black images, closed ReLUs) say nothing of the values that
/// a range is for: a range of zeros is set anew by the first batch with others, and a window of zeros does not move it.
RangeRuleKind moving_average_rule();
/// Covers all values so far but those below the (100 - p)-th and those above the p-th percentile, 50 < p <= 100.
RangeRuleKind percentile_rule();
/// The part of the range of all values so far that gives the least squared error, by a histogram of 2048 bins.
RangeRuleKind histogram_rule();
/// The part of the range of all values so far whose map gives the least squared error, by a histogram of 2048 bins. It
/// differs from `histogram` in that its levels are those of the map: 0 is one of them, and a symmetric range has two
/// like halves.
RangeRuleKind mse_rule();
/// The share of the range of all values so far with which the codes say most of what the values do: the least
/// Kullback-Leibler divergence sum P ln(P / Q) of their histogram P and that of the codes, Q (Migacz 2017).
RangeRuleKind kl_rule();
/// [lo, hi], lo <= 0 <= hi, whatever is seen.
RangeRuleKind fixed_rule();

std::deque<RangeRuleKind> standard_range_rules();

}  // namespace detent::quant
