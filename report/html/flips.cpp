#include "detent/report/html/flips.h"

#include <algorithm>

#include "detent/core/text/base64.h"
#include "detent/report/html/facts.h"
#include "detent/report/html/png.h"

namespace detent::report::html {
namespace {

// 0: lost, 1: won, 2: wrong in both.
int kind_of(const Json& flip) {
  const Json& label = member(flip, "label");
  return label == member(flip, "a") ? 0 : label == member(flip, "b") ? 1 : 2;
}

}  // namespace

std::vector<const Json*> shown_flips(const Json& pair) {
  std::vector<const Json*> flips;
  for (const Json& flip : list(pair, "flips")) {
    if (flip.is_object()) {
      flips.push_back(&flip);
    }
  }
  std::ranges::stable_sort(flips, [](const Json* a, const Json* b) {
    const auto margin = [](const Json* flip) { return -number(*flip, "margin_b").value_or(0.0); };
    return std::pair(kind_of(*a), margin(a)) < std::pair(kind_of(*b), margin(b));
  });
  flips.resize(std::min(flips.size(), kMostFlips));
  return flips;
}

const Json* gallery_pair(const Json& metrics) {
  if (const Json* const pair = facts_of(metrics).pair) {
    return pair;
  }
  const std::vector<Json>& pairs = list(metrics, "evidence.pairs");
  return pairs.empty() ? nullptr : &pairs.front();
}

std::map<std::int64_t, std::string> pictures_of(const Json& metrics, const data::Dataset& test) {
  std::map<std::int64_t, std::string> pictures;
  const Json* const pair = gallery_pair(metrics);
  if (pair == nullptr || !test.has_images()) {
    return pictures;
  }
  const Shape shape = test.example_shape();
  if (shape.rank() != 3 || (shape[2] != 1 && shape[2] != 3)) {
    return pictures;
  }
  const auto bytes = static_cast<std::size_t>(shape.elements());
  for (const Json* const flip : shown_flips(*pair)) {
    const double index = number(*flip, "index").value_or(-1.0);
    if (index >= 0.0 && index < static_cast<double>(test.size())) {
      const auto image = static_cast<std::int64_t>(index);
      const auto pixels = test.examples.data<std::uint8_t>().subspan(static_cast<std::size_t>(image) * bytes, bytes);
      pictures[image] = "data:image/png;base64," + base64(to_png(pixels, shape[0], shape[1], shape[2]));
    }
  }
  return pictures;
}

}  // namespace detent::report::html
