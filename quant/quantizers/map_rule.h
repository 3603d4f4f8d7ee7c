#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "detent/core/qparams.h"

/// How the map of a range is chosen, where it is not the closest one (choose_qparams): for targets that cannot have any
/// scale. A rule's name is a word of the text form: "int8 per-channel symmetric power-of-two".
namespace detent::quant {

/// The map that covers `range`, which is not empty. Its scale is finite, and at least 2^-60.
using MapRule = std::function<ScaleZero(const MinMax& range, CodeRange codes, Scheme scheme)>;

/// Adds a rule of one's own, before it is used; a program does so once, as it starts. Throws Error for a name that is
/// taken or is none.
void register_map_rule(std::string name, MapRule rule);
/// The names of all rules: "power-of-two", the smallest power of two that covers the range, and those that were added.
std::vector<std::string> map_rule_names();
bool is_map_rule(std::string_view name);

/// The map that the rule `name` gives; "": choose_qparams. Throws Error for a name that is none, and for a map that is
/// none.
ScaleZero map_of_range(std::string_view name, const MinMax& range, CodeRange codes, Scheme scheme);

}  // namespace detent::quant
