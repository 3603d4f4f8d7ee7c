#include "detent/report/bar_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "detent/core/error.h"
#include "detent/report/html/text.h"

namespace detent::report {
namespace {

constexpr int kBar = 12;       // height of a bar, and of its line
constexpr int kGap = 10;       // between groups
constexpr int kPlot = 560;     // width of the axis
constexpr int kNumber = 90;    // room for the number behind a bar
constexpr int kTop = 64;       // room for title and legend
constexpr int kBottom = 44;    // room for the axis
constexpr int kDecades = 6;    // at most
constexpr int kCharacter = 8;  // width of one

// From light to dark: series stand in an order.
constexpr std::array kColors{"#c6dbef", "#9ecae1", "#6baed6", "#4292c6", "#2171b5", "#08519c", "#08306b"};

std::string text_at(int x, int y, const std::string& anchor, const std::string& text) {
  return fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor, html::escaped(text));
}

std::string bar(int x, int y, double width, const std::string& color) {
  return fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{:.1f}\" height=\"{}\" fill=\"{}\"/>\n", x, y, width, kBar - 2,
                     color);
}

/// The color of a series, spread over all that there are.
std::string color_of(std::size_t series, std::size_t count) {
  return kColors[count <= 1 ? kColors.size() - 2 : series * (kColors.size() - 1) / (count - 1)];
}

/// Powers of ten: the axis goes from 10^first to 10^last.
struct Axis {
  int first = 0, last = 1;

  explicit Axis(const std::vector<std::vector<double>>& values) {
    double largest = 0.0, smallest = 0.0;
    for (const std::vector<double>& row : values) {
      for (const double value : row) {
        largest = std::max(largest, value);
        smallest = value > 0.0 && (smallest == 0.0 || value < smallest) ? value : smallest;
      }
    }
    if (largest > 0.0) {
      last = static_cast<int>(std::ceil(std::log10(largest)));
      first = std::max(last - kDecades, static_cast<int>(std::floor(std::log10(smallest))));
      first = std::min(first, last - 1);
    }
  }
  double position(double value) const {
    return value <= 0.0 ? 0.0 : std::max(0.0, kPlot * (std::log10(value) - first) / (last - first));
  }
};

}  // namespace

std::string to_svg(const BarChart& chart) {
  check(!chart.groups.empty() && !chart.series.empty() && chart.values.size() == chart.groups.size(),
        "bar chart: expected a row a group and a value a series");
  std::size_t longest = 0;
  for (std::size_t i = 0; i < chart.groups.size(); ++i) {
    check(chart.values[i].size() == chart.series.size(), "bar chart: ", chart.groups[i], " has ",
          chart.values[i].size(), " values of ", chart.series.size(), " series");
    longest = std::max(longest, chart.groups[i].size());
  }
  const auto series = static_cast<int>(chart.series.size());
  const int left = kCharacter * static_cast<int>(longest) + 24;
  const int group = series * kBar + kGap;
  const int bottom = kTop + group * static_cast<int>(chart.groups.size());
  const int width = left + kPlot + kNumber;
  const Axis axis(chart.values);

  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" role=\"img\" "
      "font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n<title>{2}</title>\n"
      "<rect width=\"{0}\" height=\"{1}\" fill=\"#fff\"/>\n",
      width, bottom + kBottom, html::escaped(chart.title));
  svg += fmt::format("<g font-size=\"15\">{}</g>\n", text_at(left, 22, "start", chart.title));
  int x = left;
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    svg += bar(x, 38, kBar - 2, color_of(i, chart.series.size()));
    svg += text_at(x + 15, 47, "start", chart.series[i]);
    x += kCharacter * static_cast<int>(chart.series[i].size()) + 28;
  }
  for (int decade = axis.first; decade <= axis.last; ++decade) {
    const int at = left + kPlot * (decade - axis.first) / (axis.last - axis.first);
    svg += fmt::format("<line x1=\"{0}\" y1=\"{1}\" x2=\"{0}\" y2=\"{2}\" stroke=\"#ddd\"/>\n", at, kTop - 6, bottom);
    svg += text_at(at, bottom + 16, "middle", fmt::format("1e{}", decade));
  }
  svg += text_at(left + kPlot / 2, bottom + 34, "middle", chart.axis);
  for (std::size_t i = 0; i < chart.groups.size(); ++i) {
    const int top = kTop + group * static_cast<int>(i);
    svg += text_at(left - 8, top + series * kBar / 2 + 4, "end", chart.groups[i]);
    for (std::size_t s = 0; s < chart.series.size(); ++s) {
      const double value = chart.values[i][s];
      const double length = axis.position(value);
      const int y = top + kBar * static_cast<int>(s);
      svg += length > 0.0 ? bar(left, y, length, color_of(s, chart.series.size())) : "";
      svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" font-size=\"10\" fill=\"#555\">{:.2g}</text>\n",
                         left + length + 4.0, y + kBar - 3, value);
    }
  }
  return svg + "</svg>\n";
}

}  // namespace detent::report
