#pragma once

#include <string>
#include <utility>
#include <vector>

namespace detent::recipes {

/// The reference of the keys of each section, name and table in Markdown, made from recipes/sections.h.
std::vector<std::pair<std::string, std::string>> sections_reference();

/// A key as --set takes it.
struct Key {
  std::string name;                ///< "train.optimizer"
  std::string meaning;             ///< in Markdown
  std::vector<std::string> words;  ///< all that it may be; empty: something else
};
/// The keys of all these sections, from the same place.
std::vector<Key> section_keys();

}  // namespace detent::recipes
