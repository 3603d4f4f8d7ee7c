#include <fmt/format.h>

#include <algorithm>

#include "detent/report/html/charts/charts.h"
#include "detent/report/html/text.h"

namespace detent::report::html {

std::string svg_begin(double width, double height, const std::string& title, const std::string& description) {
  return fmt::format("<svg viewBox=\"0 0 {:g} {:g}\" role=\"img\" aria-label=\"{}\"><title>{}</title><desc>{}</desc>\n",
                     width, height, escaped(title), escaped(title), escaped(description));
}

std::string svg_text(double x, double y, const std::string& anchor, const std::string& text,
                     const std::string& css_class) {
  return fmt::format("<text class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", css_class, x, y,
                     anchor, escaped(text));
}

std::string series_class(std::size_t series) { return "s" + std::to_string(series % kSeriesLooks); }

std::string bar(double share, bool is_alarming) {
  return fmt::format("<span class=\"bar{}\" aria-hidden=\"true\"><i style=\"width:{:.1f}%\"></i></span>",
                     is_alarming ? " warn" : "", 100.0 * std::clamp(share, 0.0, 1.0));
}

std::string whisker(double value, std::optional<std::pair<double, double>> interval, double reach) {
  constexpr double kWidth = 160.0;
  const auto at = [&](double x) {
    return 0.5 * kWidth * (1.0 + (reach > 0.0 ? std::clamp(x / reach, -0.98, 0.98) : 0.0));
  };
  std::string svg = fmt::format(
      "<svg class=\"whisker\" viewBox=\"0 0 {0:g} 16\" aria-hidden=\"true\"><line class=\"zero\" x1=\"{1:g}\" y1=\"0\" "
      "x2=\"{1:g}\" y2=\"16\"/>",
      kWidth, 0.5 * kWidth);
  if (interval) {
    svg += fmt::format("<line class=\"span\" x1=\"{:.1f}\" y1=\"8\" x2=\"{:.1f}\" y2=\"8\"/>", at(interval->first),
                       at(interval->second));
  }
  const bool is_below = interval ? interval->second < 0.0 : value < 0.0;
  return svg + fmt::format("<circle class=\"{}\" cx=\"{:.1f}\" cy=\"8\" r=\"4\"/></svg>", is_below ? "dot warn" : "dot",
                           at(value));
}

}  // namespace detent::report::html
