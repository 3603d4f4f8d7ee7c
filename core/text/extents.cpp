#include "detent/core/text/extents.h"

#include <charconv>

namespace detent {

std::optional<std::vector<std::int64_t>> extents_from(std::string_view text) {
  constexpr std::int64_t kLargest = 1 << 16;
  std::vector<std::int64_t> extents;
  const char* at = text.data();
  const char* const end = at + text.size();
  for (bool goes_on = true; goes_on;) {
    std::int64_t extent = 0;
    const auto [stop, error] = std::from_chars(at, end, extent);
    goes_on = stop != end;
    if (error != std::errc() || extent < 1 || extent > kLargest || (goes_on && *stop != 'x')) {
      return std::nullopt;
    }
    extents.push_back(extent);
    at = goes_on ? stop + 1 : end;
  }
  return extents;
}

std::optional<Shape> image_shape_from(std::string_view text) {
  std::optional<std::vector<std::int64_t>> extents = extents_from(text);
  if (extents && extents->size() == 2) {
    extents->push_back(1);
  }
  return extents && extents->size() == 3 ? std::optional<Shape>(*extents) : std::nullopt;
}

}  // namespace detent
