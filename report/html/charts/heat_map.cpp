#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "detent/report/html/charts/charts.h"
#include "detent/report/html/text.h"

namespace detent::report::html {
namespace {

constexpr double kSide = 340.0;  // of the square of cells
constexpr double kLeft = 48.0, kTop = 34.0;
constexpr std::size_t kMostNames = 16;  // beyond, neither names nor numbers are written
constexpr std::size_t kLongestName = 6;
constexpr std::size_t kMostClasses = 100;

bool is_drawable(const HeatMap& map) {
  return !map.counts.empty() && map.counts.size() <= kMostClasses &&
         std::ranges::all_of(map.counts, [&](const auto& row) { return row.size() == map.counts.size(); });
}

}  // namespace

std::string to_html(const HeatMap& map) {
  if (!is_drawable(map)) {
    return "";
  }
  const std::size_t classes = map.counts.size();
  const double cell = kSide / static_cast<double>(classes);
  double most_right = 0.0, most_wrong = 0.0;
  for (std::size_t i = 0; i < classes; ++i) {
    for (std::size_t j = 0; j < classes; ++j) {
      double& most = i == j ? most_right : most_wrong;
      most = std::max(most, map.counts[i][j]);
    }
  }
  std::string svg = svg_begin(kLeft + kSide + 8.0, kTop + kSide + 6.0, map.title, map.description);
  svg += svg_text(kLeft + 0.5 * kSide, 11.0, "middle", map.column_label);
  svg += fmt::format(
      "<text class=\"label\" x=\"0\" y=\"0\" text-anchor=\"middle\" transform=\"translate(11 {:.1f}) "
      "rotate(-90)\">{}</text>\n",
      kTop + 0.5 * kSide, escaped(map.row_label));
  svg += fmt::format("<rect class=\"cell\" x=\"{0}\" y=\"{1}\" width=\"{2}\" height=\"{2}\" rx=\"3\"/>\n", kLeft, kTop,
                     kSide);
  for (std::size_t i = 0; i < classes; ++i) {
    const double at = cell * (static_cast<double>(i) + 0.5);
    if (classes <= kMostNames && i < map.names.size()) {
      svg += svg_text(kLeft - 6.0, kTop + at + 4.0, "end", shortened(map.names[i], kLongestName));
      svg += svg_text(kLeft + at, kTop - 6.0, "middle", shortened(map.names[i], kLongestName));
    }
    for (std::size_t j = 0; j < classes; ++j) {
      const double count = map.counts[i][j];
      const double most = i == j ? most_right : most_wrong;
      const double share = count > 0.0 && most > 0.0 ? std::sqrt(count / most) : 0.0;
      const double strength = i == j ? 0.5 * share : 0.12 + 0.78 * share;
      const double x = kLeft + cell * static_cast<double>(j), y = kTop + cell * static_cast<double>(i);
      if (share > 0.0) {
        svg += fmt::format(
            "<rect class=\"{4}\" x=\"{0:.1f}\" y=\"{1:.1f}\" width=\"{2:.1f}\" height=\"{2:.1f}\" "
            "fill-opacity=\"{3:.2f}\"/>",
            x, y, cell - 1.0, strength, i == j ? "right" : "wrong");
      }
      if (classes <= kMostNames && count > 0.0) {
        svg += svg_text(x + 0.5 * cell, y + 0.5 * cell + 4.0, "middle", short_number(count),
                        strength > 0.55 ? "number strong" : "number");
      }
    }
    svg += "\n";
  }
  return svg + "</svg>\n";
}

}  // namespace detent::report::html
