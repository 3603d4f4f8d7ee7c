#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "detent/report/html/charts/axis.h"
#include "detent/report/html/charts/charts.h"
#include "detent/report/html/text.h"

namespace detent::report::html {
namespace {

constexpr double kWidth = 400.0, kHeight = 240.0;
constexpr double kLeft = 52.0, kRight = 388.0, kTop = 22.0, kBottom = 200.0;

/// What the series are called, with a piece of their lines. Nothing for a single one without a name.
std::string legend(const std::vector<Series>& series) {
  if (series.size() == 1 && series[0].name.empty()) {
    return "";
  }
  std::string html = "<ul class=\"legend\">";
  for (const Series& one : series) {
    html += fmt::format(
        "<li><svg viewBox=\"0 0 22 8\" aria-hidden=\"true\"><line class=\"line {0}\" x1=\"1\" y1=\"4\" x2=\"21\" "
        "y2=\"4\"/></svg>{1}</li>",
        series_class(one.look), escaped(one.name));
  }
  return html + "</ul>\n";
}

struct Ends {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

std::string frame(const LineChart& chart, const Axis& x, const Axis& y) {
  std::string svg;
  for (const double tick : y.ticks(5)) {
    svg += fmt::format("<line class=\"gridline\" x1=\"{}\" y1=\"{:.1f}\" x2=\"{}\" y2=\"{:.1f}\"/>\n", kLeft,
                       y.at(tick), kRight, y.at(tick));
    svg += svg_text(kLeft - 6.0, y.at(tick) + 4.0, "end", chart.y_text(tick));
  }
  for (const double tick : x.ticks(6)) {
    if (chart.has_whole_x && std::floor(tick) != tick) {
      continue;
    }
    svg += svg_text(x.at(tick), kBottom + 16.0, "middle", chart.x_text(tick));
  }
  svg += fmt::format("<line class=\"axis\" x1=\"{0}\" y1=\"{1}\" x2=\"{2}\" y2=\"{1}\"/>\n", kLeft, kBottom, kRight);
  svg += svg_text(0.5 * (kLeft + kRight), kBottom + 34.0, "middle", chart.x_label);
  svg += svg_text(0.0, 11.0, "start", chart.y_label);
  if (chart.mark) {
    svg += fmt::format("<line class=\"mark\" x1=\"{0:.1f}\" y1=\"{1}\" x2=\"{0:.1f}\" y2=\"{2}\"/>\n",
                       x.at(*chart.mark), kTop, kBottom);
    svg += svg_text(x.at(*chart.mark) + 4.0, kTop + 8.0, "start", chart.mark_label);
  }
  return svg;
}

std::string line_of(const Series& series, const Axis& x, const Axis& y) {
  std::string path, dots;
  for (const auto& [at_x, at_y] : series.points) {
    path += fmt::format("{:.1f},{:.1f} ", x.at(at_x), y.at(at_y));
    dots += fmt::format("<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.6\"/>\n", series_class(series.look),
                        x.at(at_x), y.at(at_y));
  }
  path.pop_back();
  constexpr std::size_t kMostDots = 40;
  return fmt::format("<polyline class=\"line {}\" points=\"{}\"/>\n", series_class(series.look), path) +
         (series.points.size() <= kMostDots ? dots : "");
}

}  // namespace

std::string to_html(const LineChart& chart) {
  Ends ends_x, ends_y;
  std::string lines;
  for (const Series& series : chart.series) {
    for (const auto& [x, y] : series.points) {
      ends_x.include(x);
      ends_y.include(y);
    }
  }
  if (ends_x.low > ends_x.high) {
    return "";
  }
  const double room = chart.log_y ? 0.0 : 0.06 * (ends_y.high - ends_y.low);
  const Axis x(ends_x.low, ends_x.high, kLeft + 8.0, kRight - 8.0, chart.log_x);
  const Axis y(chart.log_y ? ends_y.low / 1.1 : ends_y.low - room, chart.log_y ? ends_y.high * 1.1 : ends_y.high + room,
               kBottom, kTop, chart.log_y);
  for (const Series& series : chart.series) {
    if (!series.points.empty()) {
      lines += line_of(series, x, y);
    }
  }
  return legend(chart.series) + svg_begin(kWidth, kHeight, chart.title, chart.description) + frame(chart, x, y) +
         lines + "</svg>\n";
}

}  // namespace detent::report::html
