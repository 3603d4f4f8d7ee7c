#pragma once

#include <string>
#include <utility>
#include <vector>

namespace detent::recipes {

/// The reference of the keys of each section, name and table in Markdown, made from recipes/sections.h.
std::vector<std::pair<std::string, std::string>> sections_reference();

}  // namespace detent::recipes
