#pragma once

#include <map>
#include <string>
#include <vector>

#include "detent/data/dataset.h"
#include "detent/report/html/read.h"

namespace detent::report::html {

/// Of a page's gallery.
inline constexpr std::size_t kMostFlips = 24;

/// The flipped predictions of a pair that a page shows: those that the second model lost first, then those that it won,
/// then those that both have wrong; among them the surest of the second model first. At most kMostFlips.
std::vector<const Json*> shown_flips(const Json& pair);
/// The pair of evidence.pairs that the gallery is of: float against int8, else the first; null: there is none.
const Json* gallery_pair(const Json& metrics);

/// The images of `test` that the gallery of `metrics` shows, by their numbers, as "data:image/png;base64,...". Empty
/// unless the examples are images of 1 or 3 channels.
std::map<std::int64_t, std::string> pictures_of(const Json& metrics, const data::Dataset& test);

}  // namespace detent::report::html
