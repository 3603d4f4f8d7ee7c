#include <fmt/format.h>

#include <algorithm>

#include "detent/report/html/charts/axis.h"
#include "detent/report/html/charts/charts.h"

namespace detent::report::html {
namespace {

constexpr double kWidth = 400.0, kRow = 54.0, kTop = 6.0, kBottom = 42.0;
constexpr double kLeft = 14.0, kRight = 386.0;

}  // namespace

std::string to_html(const QuantileStrips& strips) {
  if (strips.rows.empty()) {
    return "";
  }
  double low = strips.rows[0].p50, high = low;
  for (const QuantileStrips::Row& row : strips.rows) {
    low = std::min(low, row.p50);
    high = std::max({high, row.p50, row.p90, row.p99, row.max});
  }
  const Axis axis(0.8 * low, 1.1 * high, kLeft, kRight, true);
  const double bottom = kTop + kRow * static_cast<double>(strips.rows.size());
  std::string svg = svg_begin(kWidth, bottom + kBottom, strips.title, strips.description);
  for (const double tick : axis.ticks(6)) {
    svg += fmt::format("<line class=\"gridline\" x1=\"{0:.1f}\" y1=\"{1}\" x2=\"{0:.1f}\" y2=\"{2:.1f}\"/>\n",
                       axis.at(tick), kTop, bottom);
    svg += svg_text(std::clamp(axis.at(tick), kLeft + 8.0, kRight - 14.0), bottom + 16.0, "middle", strips.text(tick));
  }
  svg += svg_text(0.5 * kWidth, bottom + 34.0, "middle", strips.x_label);
  for (std::size_t i = 0; i < strips.rows.size(); ++i) {
    const QuantileStrips::Row& row = strips.rows[i];
    const std::string look = series_class(i);
    const double y = kTop + kRow * static_cast<double>(i) + 34.0;
    svg += svg_text(kLeft, y - 18.0, "start", row.name, "name");
    svg += fmt::format("<line class=\"thin {}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n", look,
                       axis.at(row.p50), y, axis.at(std::max(row.p50, row.max)), y);
    const auto tick = [&](double at, double half) {
      svg += fmt::format("<line class=\"thick {0}\" x1=\"{1:.1f}\" y1=\"{2:.1f}\" x2=\"{1:.1f}\" y2=\"{3:.1f}\"/>\n",
                         look, axis.at(at), y - half, y + half);
    };
    tick(row.p90, 7.0);
    tick(row.p99, 5.0);
    tick(row.max, 3.0);
    svg += fmt::format("<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5\"/>\n", look, axis.at(row.p50), y);
  }
  return svg + "</svg>\n";
}

}  // namespace detent::report::html
