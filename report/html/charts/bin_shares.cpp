#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "detent/report/html/charts/charts.h"
#include "detent/report/html/text.h"

namespace detent::report::html {
namespace {

constexpr double kWidth = 320.0, kHeight = 136.0;
constexpr double kLeft = 8.0, kRight = 312.0, kTop = 8.0, kBottom = 96.0;
constexpr double kACharacter = 7.4;  // of a label, nearly

// Where bins begin and how high shares stand.
struct Scale {
  double wide = 0.0, most = 0.0;

  double begin(std::size_t bin) const { return kLeft + wide * static_cast<double>(bin); }
  double height(double share) const { return (kBottom - kTop) * std::sqrt(std::max(share, 0.0) / most); }
};

std::string column(const Scale& scale, std::size_t bin, double share) {
  const double height = std::max(1.0, scale.height(share));
  return fmt::format("M{:.1f} {}v-{:.1f}h{:.1f}v{:.1f}z", scale.begin(bin) + 0.5, kBottom, height, scale.wide - 1.0,
                     height);
}

std::string path(const char* css_class, const std::string& d) {
  return d.empty() ? "" : fmt::format("<path class=\"{}\" d=\"{}\"/>\n", css_class, d);
}

std::string bars_of(const BinShares& bins, const Scale& scale) {
  std::string before, beyond, now = fmt::format("M{} {}", kLeft, kBottom);
  std::size_t first = bins.before.size(), end = 0;
  for (std::size_t i = 0; i < bins.before.size(); ++i) {
    if (bins.before[i] > 0.0) {
      before += column(scale, i, bins.before[i]);
      first = std::min(first, i);
      end = i + 1;
    } else if (bins.now[i] > 0.0) {
      beyond += column(scale, i, bins.now[i]);
    }
    now += fmt::format("V{:.1f}H{:.1f}", kBottom - scale.height(bins.now[i]), scale.begin(i + 1));
  }
  const std::string reach =
      first < end ? fmt::format("<rect class=\"reach\" x=\"{:.1f}\" y=\"{}\" width=\"{:.1f}\" height=\"{}\"/>\n",
                                scale.begin(first), kTop, scale.begin(end) - scale.begin(first), kBottom - kTop)
                  : "";
  return reach + path("then", before) + path("beyond", beyond) + path("now", now + fmt::format("V{}", kBottom));
}

// What lies just below 0 is 0 for a reader.
std::string label_of(double bound) {
  return short_number(std::abs(bound) < double{std::numeric_limits<float>::min()} ? 0.0 : bound);
}

double wide(const std::string& text) {
  return kACharacter * static_cast<double>(std::ranges::count_if(text, [](char byte) {
           return (static_cast<unsigned char>(byte) & 0xc0U) != 0x80U;  // the first byte of a character
         }));
}

// Between bins, as many as there is room for.
std::string labels_of(const BinShares& bins, const Scale& scale) {
  std::string svg;
  double free_from = 0.0;
  for (std::size_t i = 0; i < bins.bounds.size(); ++i) {
    const std::string text = label_of(bins.bounds[i]);
    const double at = scale.begin(i + 1), half = 0.5 * wide(text);
    if (at - half >= free_from && at + half <= kWidth) {
      svg += svg_text(at, kBottom + 15.0, "middle", text);
      free_from = at + half + kACharacter;
    }
  }
  return svg;
}

}  // namespace

std::string to_html(const BinShares& bins) {
  const std::size_t count = bins.before.size();
  if (count == 0 || bins.now.size() != count || bins.bounds.size() + 1 != count) {
    return "";
  }
  const double most = std::max(*std::ranges::max_element(bins.before), *std::ranges::max_element(bins.now));
  if (most <= 0.0) {
    return "";
  }
  const Scale scale{.wide = (kRight - kLeft) / static_cast<double>(count), .most = most};
  return svg_begin(kWidth, kHeight, bins.title, bins.description) + bars_of(bins, scale) +
         fmt::format("<line class=\"axis\" x1=\"{0}\" y1=\"{1}\" x2=\"{2}\" y2=\"{1}\"/>\n", kLeft, kBottom, kRight) +
         labels_of(bins, scale) + svg_text(0.5 * kWidth, kBottom + 33.0, "middle", bins.x_label) + "</svg>\n";
}

}  // namespace detent::report::html
