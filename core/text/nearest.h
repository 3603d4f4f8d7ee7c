#pragma once

#include <span>
#include <string>
#include <string_view>

namespace detent {

/// How many letters must be inserted, removed, replaced or swapped with their neighbour to make `b` from `a`
/// (optimal string alignment). Case does not count.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// "; did you mean 'epochs'?" with the candidate that `word` was meant for, else `otherwise`, such as ";" where the
/// message goes on. That is the first candidate that begins with `word`, if this has two letters or more and does not
/// end in '-'; else the nearest one, of equally near ones the first, if it is near: at most a third of the letters
/// wrong, and at least one wrong letter allowed, but not all of them. Case does not count. Words of more than 64
/// letters mean none.
std::string did_you_mean(std::string_view word, std::span<const std::string> candidates,
                         std::string_view otherwise = {});

}  // namespace detent
