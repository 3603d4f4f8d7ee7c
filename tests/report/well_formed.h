#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace detent::test {

/// What is wrong with a page as this project writes them, or "": every element is closed by its own end tag in order
/// (elements that have none, and "/>", are closed at once), attributes are in double quotes and stand once, and there
/// is no '<' or '&' that begins neither a tag nor a reference. Style sheets are passed over.
inline std::string fault_of(std::string_view html) {
  constexpr std::array kVoid{"meta", "link", "img", "br", "hr"};
  std::vector<std::string> open;
  const auto near = [&](std::size_t at) { return " near \"" + std::string(html.substr(at, 60)) + "\""; };
  std::size_t at = html.starts_with("<!DOCTYPE html>") ? 15 : 0;
  while (at < html.size()) {
    if (html[at] == '&') {
      const std::size_t end = html.find(';', at);
      if (end == std::string_view::npos || end - at > 8) {
        return "a bare &" + near(at);
      }
    } else if (html[at] == '>') {
      return "a bare >" + near(at);
    }
    if (html[at] != '<') {
      ++at;
      continue;
    }
    std::size_t end = at + 1;
    for (bool is_quoted = false; end < html.size() && (is_quoted || html[end] != '>'); ++end) {
      is_quoted = html[end] == '"' ? !is_quoted : is_quoted;
      if (html[end] == '<') {
        return "a < within a tag" + near(at);
      }
    }
    if (end == html.size()) {
      return "a tag without end" + near(at);
    }
    std::string_view tag = html.substr(at + 1, end - at - 1);
    if (tag.starts_with('/')) {
      if (open.empty() || open.back() != tag.substr(1)) {
        return "closed out of order, where " + (open.empty() ? "nothing" : open.back()) + " is open" + near(at);
      }
      open.pop_back();
      at = end + 1;
      continue;
    }
    const bool is_closed = tag.ends_with('/');
    tag = is_closed ? tag.substr(0, tag.size() - 1) : tag;
    const std::string name(tag.substr(0, tag.find_first_of(" \n")));
    if (name.empty() || name.find_first_not_of("abcdefghijklmnopqrstuvwxyz123") != std::string::npos) {
      return "no name of an element" + near(at);
    }
    std::vector<std::string> attributes;
    for (std::size_t from = name.size(); from < tag.size();) {
      from = tag.find_first_not_of(" \n", from);
      if (from == std::string_view::npos) {
        break;
      }
      const std::size_t word = tag.find_first_of(" =", from);
      attributes.emplace_back(tag.substr(from, word - from));
      if (std::ranges::count(attributes, attributes.back()) > 1) {
        return "twice " + attributes.back() + near(at);
      }
      if (word == std::string_view::npos || tag[word] == ' ') {
        from = word == std::string_view::npos ? tag.size() : word;
        continue;
      }
      const std::size_t close = word + 1 < tag.size() && tag[word + 1] == '"' ? tag.find('"', word + 2) : tag.npos;
      if (close == std::string_view::npos) {
        return "an attribute without quotes" + near(at);
      }
      from = close + 1;
    }
    at = end + 1;
    if (name == "style") {
      at = html.find("</style>", at);
      if (at == std::string_view::npos) {
        return "a style sheet without end";
      }
      at += 8;
    } else if (!is_closed && std::ranges::find(kVoid, name) == kVoid.end()) {
      open.push_back(name);
    }
  }
  return open.empty() ? "" : open.back() + " is never closed";
}

}  // namespace detent::test
