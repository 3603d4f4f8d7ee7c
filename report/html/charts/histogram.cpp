#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "detent/report/html/charts/axis.h"
#include "detent/report/html/charts/charts.h"
#include "detent/report/html/text.h"

namespace detent::report::html {
namespace {

constexpr double kWidth = 400.0, kHeight = 150.0;
constexpr double kLeft = 8.0, kRight = 392.0, kTop = 8.0, kBottom = 96.0;
constexpr double kRuler = 9.0;    // height of the levels' marks
constexpr double kNearest = 2.4;  // of two of them
constexpr std::int64_t kFewLevels = 17;

Axis axis_of(const Histogram& histogram) {
  double low = histogram.lower;
  double high = histogram.lower + histogram.width * static_cast<double>(histogram.counts.size());
  if (histogram.grid) {
    low = std::min(low, histogram.grid->first - 0.5 * histogram.grid->step);
    high = std::max(high, histogram.grid->last() + 0.5 * histogram.grid->step);
  }
  return {low, high, kLeft, kRight};
}

std::int64_t spacing(const Grid& grid, const Axis& axis) {
  const double apart = (kRight - kLeft) * grid.step / (axis.high() - axis.low());
  std::int64_t every = 1;
  while (apart * static_cast<double>(every) < kNearest && every < grid.levels) {
    every *= 2;
  }
  return every;
}

std::string grid_of(const Grid& grid, const Axis& axis) {
  const double begin = axis.at(grid.first), end = axis.at(grid.last());
  std::string svg = fmt::format("<rect class=\"reach\" x=\"{:.1f}\" y=\"{}\" width=\"{:.1f}\" height=\"{}\"/>\n", begin,
                                kTop, std::max(1.0, end - begin), kBottom - kTop);
  std::string path;
  const double top = grid.levels <= kFewLevels ? kTop : kBottom;
  const std::int64_t every = spacing(grid, axis);
  for (std::int64_t level = 0; level < grid.levels; level += every) {
    path += fmt::format("M{:.1f} {}V{}", axis.at(grid.first + grid.step * static_cast<double>(level)), top,
                        kBottom + kRuler);
  }
  return svg + fmt::format("<path class=\"level\" d=\"{}\"/>\n", path);
}

}  // namespace

std::int64_t drawn_every(const Histogram& histogram) {
  return histogram.grid ? spacing(*histogram.grid, axis_of(histogram)) : 1;
}

std::string to_html(const Histogram& histogram) {
  const double most = histogram.counts.empty() ? 0.0 : *std::ranges::max_element(histogram.counts);
  const bool is_drawable = histogram.width > 0.0 && (!histogram.grid || histogram.grid->step > 0.0);
  if (most <= 0.0 || !is_drawable) {
    return "";
  }
  const Axis axis = axis_of(histogram);
  std::string svg = svg_begin(kWidth, kHeight, histogram.title, histogram.description);
  if (histogram.grid && histogram.grid->levels > 0) {
    svg += grid_of(*histogram.grid, axis);
  }
  std::string path;
  for (std::size_t i = 0; i < histogram.counts.size(); ++i) {
    if (histogram.counts[i] > 0.0) {
      const double left = axis.at(histogram.lower + histogram.width * static_cast<double>(i));
      const double right = axis.at(histogram.lower + histogram.width * static_cast<double>(i + 1));
      const double height = std::max(1.0, (kBottom - kTop) * std::sqrt(histogram.counts[i] / most));
      path += fmt::format("M{:.1f} {}v-{:.1f}h{:.1f}v{:.1f}z", left, kBottom, height, std::max(0.8, right - left - 0.6),
                          height);
    }
  }
  svg += fmt::format("<path class=\"column\" d=\"{}\"/>\n", path);
  svg += fmt::format("<line class=\"axis\" x1=\"{0}\" y1=\"{1}\" x2=\"{2}\" y2=\"{1}\"/>\n", kLeft, kBottom, kRight);
  for (const double tick : axis.ticks(6)) {
    svg += svg_text(std::clamp(axis.at(tick), kLeft + 8.0, kRight - 8.0), kBottom + kRuler + 14.0, "middle",
                    short_number(tick));
  }
  return svg + svg_text(0.5 * kWidth, kBottom + kRuler + 31.0, "middle", histogram.x_label) + "</svg>\n";
}

}  // namespace detent::report::html
