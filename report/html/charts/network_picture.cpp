#include <fmt/format.h>

#include <algorithm>

#include "detent/report/html/charts/charts.h"
#include "detent/report/html/text.h"

namespace detent::report::html {
namespace {

constexpr double kBox = 292.0, kRow = 46.0, kHeight = 34.0, kLeft = 1.0, kTop = 2.0;
constexpr double kLane = 14.0;
constexpr std::size_t kLongest = 22, kLongestDetail = 64;

double middle_of(std::size_t node) { return kTop + kRow * static_cast<double>(node) + 0.5 * kHeight; }

/// An edge beside the boxes.
struct Detour {
  std::size_t from, to;
  std::size_t lane = 0;
};

/// Detours that overlap run in lanes of their own, the first ones inside.
std::vector<Detour> detours_of(const NetworkPicture& picture) {
  std::vector<Detour> detours;
  for (std::size_t i = 0; i < picture.nodes.size(); ++i) {
    for (const std::size_t input : picture.nodes[i].inputs) {
      if (input + 1 < i) {
        detours.push_back({input, i});
      }
    }
  }
  for (std::size_t i = 0; i < detours.size(); ++i) {
    const auto is_taken = [&](std::size_t lane) {
      return std::any_of(detours.begin(), detours.begin() + static_cast<std::ptrdiff_t>(i), [&](const Detour& other) {
        return other.lane == lane && other.from < detours[i].to && detours[i].from < other.to;
      });
    };
    while (is_taken(detours[i].lane)) {
      ++detours[i].lane;
    }
  }
  return detours;
}

std::string box(const NetworkPicture::Node& node, std::size_t row) {
  const double top = kTop + kRow * static_cast<double>(row);
  std::string svg = fmt::format("<rect class=\"{}\" x=\"{}\" y=\"{:.1f}\" width=\"{}\" height=\"{}\" rx=\"6\"/>\n",
                                node.is_codes ? "box codes" : "box", kLeft, top, kBox, kHeight);
  svg += svg_text(kLeft + 10.0, top + 14.5, "start", shortened(node.name, kLongest), "name");
  svg += svg_text(kLeft + 10.0, top + 27.5, "start", shortened(node.detail, kLongestDetail));
  return svg + svg_text(kLeft + kBox - 10.0, top + 14.5, "end", node.type, "type");
}

}  // namespace

std::string to_html(const NetworkPicture& picture) {
  if (picture.nodes.empty()) {
    return "";
  }
  const std::vector<Detour> detours = detours_of(picture);
  std::size_t lanes = 0;
  for (const Detour& detour : detours) {
    lanes = std::max(lanes, detour.lane + 1);
  }
  const double width = std::max(320.0, kLeft + kBox + 12.0 + kLane * static_cast<double>(lanes));
  const double height = kTop + kRow * static_cast<double>(picture.nodes.size() - 1) + kHeight + 2.0;
  std::string svg = svg_begin(width, height, picture.title, picture.description);
  const double x = kLeft + 0.5 * kBox;
  for (std::size_t i = 0; i < picture.nodes.size(); ++i) {
    if (i > 0 && std::ranges::count(picture.nodes[i].inputs, i - 1) > 0) {
      const double tip = kTop + kRow * static_cast<double>(i);
      svg += fmt::format("<path class=\"edge\" d=\"M{0} {1:.1f}V{2:.1f}m-3.5 -4l3.5 4l3.5 -4\"/>\n", x,
                         tip - (kRow - kHeight), tip - 0.5);
    }
    svg += box(picture.nodes[i], i);
  }
  for (const Detour& detour : detours) {
    const double side = kLeft + kBox;
    const double lane = side + 10.0 + kLane * static_cast<double>(detour.lane);
    const double from = middle_of(detour.from) + 6.0, to = middle_of(detour.to) - 6.0;
    svg += fmt::format(
        "<path class=\"edge\" d=\"M{0} {1:.1f}H{2:.1f}q6 0 6 6V{3:.1f}q0 6 -6 6H{4}m4 -3.5l-4 3.5l4 3.5\"/>\n", side,
        from, lane - 6.0, to - 6.0, side + 0.5);
  }
  return svg + "</svg>\n";
}

}  // namespace detent::report::html
