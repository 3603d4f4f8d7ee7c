#pragma once

#include <string>
#include <string_view>

namespace detent {

/// As messages list words: "a, b, c"; "" of none. `words` is any range of strings.
template <typename Words>
std::string comma_separated(const Words& words) {
  std::string text;
  for (const std::string_view word : words) {
    text += text.empty() ? "" : ", ";
    text += word;
  }
  return text;
}

}  // namespace detent
