#include "detent/recipes/toml_text.h"

#include <algorithm>

#include "detent/core/error.h"

namespace detent::recipes {
namespace {

constexpr int kMostParts = 32;

/// Where the quoted text ends that begins at `begin`: behind its closing quotes, or where `text` ends.
std::size_t end_of_quoted(std::string_view text, std::size_t begin) {
  const char quote = text[begin];
  const bool is_long = text.substr(begin, 3) == std::string(3, quote);
  const std::string_view closing = text.substr(begin, is_long ? 3 : 1);
  std::size_t at = begin + closing.size();
  while (at < text.size() && text.substr(at, closing.size()) != closing && (is_long || text[at] != '\n')) {
    at += quote == '"' && text[at] == '\\' ? 2 : 1;
  }
  at = std::min(at + closing.size(), text.size());
  for (int i = 0; is_long && i < 2 && at < text.size() && text[at] == quote; ++i) {
    ++at;  // a long text may end with quotes of its own
  }
  return at;
}

}  // namespace

std::optional<std::int64_t> line_of_long_key(std::string_view text) {
  constexpr std::string_view kBetweenKeys = "=,[]{}\n";
  std::int64_t line = 1;
  int parts = 1;
  for (std::size_t at = 0; at < text.size();) {
    const char letter = text[at];
    std::size_t end = at + 1;
    if (letter == '#') {
      end = std::min(text.find('\n', at), text.size());
    } else if (letter == '"' || letter == '\'') {
      end = end_of_quoted(text, at);
    } else if (letter == '.' && ++parts > kMostParts) {
      return line;
    } else if (kBetweenKeys.find(letter) != std::string_view::npos) {
      parts = 1;
    }
    line += std::ranges::count(text.substr(at, end - at), '\n');
    at = end;
  }
  return std::nullopt;
}

toml::table parse_toml(std::string_view text, const std::string& file) {
  if (const auto line = line_of_long_key(text)) {
    fail(file, ":", *line, ": a key has more than ", kMostParts, " parts");
  }
  try {
    return toml::parse(text, file);
  } catch (const toml::parse_error& error) {
    fail(file, ":", error.source().begin.line, ": not valid TOML: ", error.description());
  }
}

}  // namespace detent::recipes
