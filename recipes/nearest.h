#pragma once

#include <span>
#include <string>
#include <string_view>

namespace detent::recipes {

/// How many letters must be inserted, removed, replaced or swapped with their neighbour to make `b` from `a`
/// (optimal string alignment).
std::size_t edit_distance(std::string_view a, std::string_view b);

/// "; did you mean 'epochs'?" with the candidate nearest to `word`, or nothing if none is near: at most a third of the
/// letters wrong, and at least one wrong letter allowed. The first of equally near ones wins.
std::string did_you_mean(std::string_view word, std::span<const std::string> candidates);

}  // namespace detent::recipes
