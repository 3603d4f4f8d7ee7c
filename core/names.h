#pragma once

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

namespace detent {

/// The one spelling of each of a few values: the table from which recipes and files are read and written.
template <typename T>
using Names = std::vector<std::pair<std::string_view, T>>;

/// The name of `value`. REQUIRES: it stands in the table.
template <typename T>
std::string_view name_in(const Names<T>& names, T value) {
  return std::ranges::find(names, value, &Names<T>::value_type::second)->first;
}

}  // namespace detent
