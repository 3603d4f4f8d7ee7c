#include "detent/recipes/layer_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <sstream>

#include "detent/core/error.h"
#include "detent/core/text/nearest.h"

namespace detent::recipes {
namespace {

constexpr std::int64_t kLargest = 1 << 24;

template <typename T>
std::optional<T> parse(std::string_view word) {
  T value{};
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  return error == std::errc() && end == word.data() + word.size() ? std::optional<T>(value) : std::nullopt;
}

std::optional<std::int64_t> parse_whole(std::string_view word, std::int64_t min) {
  const auto value = parse<std::int64_t>(word);
  return value && min <= *value && *value <= kLargest ? value : std::nullopt;
}

/// "3x5", or "3" for both.
std::optional<Extent2d> parse_extent(std::string_view word, std::int64_t min) {
  const std::size_t cross = word.find('x');
  const auto height = parse_whole(word.substr(0, cross), min);
  const auto width = cross == std::string::npos ? height : parse_whole(word.substr(cross + 1), min);
  return height && width ? std::optional(Extent2d(*height, *width)) : std::nullopt;
}

/// "1", "1x2", or "1,0,1,2": top, left, bottom, right.
std::optional<Padding2d> parse_padding(std::string_view word) {
  if (word.find(',') == std::string_view::npos) {
    const auto sides = parse_extent(word, 0);
    return sides ? std::optional(Padding2d(sides->h, sides->w)) : std::nullopt;
  }
  std::vector<std::int64_t> sides;
  for (std::size_t begin = 0; begin <= word.size();) {
    const std::size_t end = std::min(word.find(',', begin), word.size());
    const auto side = parse_whole(word.substr(begin, end - begin), 0);
    if (!side) {
      return std::nullopt;
    }
    sides.push_back(*side);
    begin = end + 1;
  }
  return sides.size() == 4 ? std::optional(Padding2d(sides[0], sides[1], sides[2], sides[3])) : std::nullopt;
}

}  // namespace

LayerText::LayerText(const std::string& text) {
  std::istringstream stream(text);
  check(static_cast<bool>(stream >> operation_), "is empty; write for example \"conv 32 3x3\"");
  for (std::string word; stream >> word;) {
    words_.push_back(word);
  }
  is_used_.assign(words_.size(), false);
}

std::string LayerText::next(std::string_view what, std::string_view example) {
  check(position_ < words_.size(), "expected ", what, " after '", operation_, "'; write for example \"", example, "\"");
  is_used_[position_] = true;
  return words_[position_++];
}

std::int64_t LayerText::whole(std::string_view what, std::string_view example) {
  const std::string word = next(what, example);
  const auto value = parse_whole(word, 1);
  check(value.has_value(), "expected ", what, ", got '", word, "'; write for example \"", example, "\"");
  return *value;
}

Extent2d LayerText::window(std::string_view example) {
  const std::string word = next("a window", example);
  const auto value = parse_extent(word, 1);
  check(value.has_value(), "expected a window such as 3x3, got '", word, "'; write for example \"", example, "\"");
  return *value;
}

double LayerText::number(std::string_view what, std::string_view example) {
  const std::string word = next(what, example);
  const auto value = parse<double>(word);
  check(value && std::isfinite(*value), "expected ", what, ", got '", word, "'; write for example \"", example, "\"");
  return *value;
}

bool LayerText::has_number() const { return position_ < words_.size() && parse<double>(words_[position_]).has_value(); }

std::size_t LayerText::find(const std::string& name) {
  known_.push_back(name);
  std::size_t found = words_.size();
  for (std::size_t i = position_; i < words_.size(); ++i) {
    if (words_[i] == name) {
      check(found == words_.size(), "the option '", name, "' stands twice");
      found = i;
      is_used_[i] = true;
    }
  }
  return found;
}

bool LayerText::flag(const std::string& name) { return find(name) < words_.size(); }

std::int64_t LayerText::option(const std::string& name, std::int64_t value, std::int64_t min) {
  const std::size_t at = find(name);
  if (at == words_.size()) {
    return value;
  }
  const auto read = at + 1 < words_.size() ? parse_whole(words_[at + 1], min) : std::nullopt;
  check(read.has_value(), "expected a whole number >= ", min, " after '", name, "'; write for example \"", name, " ",
        min + 1, "\"");
  is_used_[at + 1] = true;
  return *read;
}

Extent2d LayerText::extent_option(const std::string& name, Extent2d value) {
  const std::size_t at = find(name);
  if (at == words_.size()) {
    return value;
  }
  const auto read = at + 1 < words_.size() ? parse_extent(words_[at + 1], 1) : std::nullopt;
  check(read.has_value(), "expected a whole number >= 1, or two such as 2x1, after '", name, "'; write for example \"",
        name, " 2\"");
  is_used_[at + 1] = true;
  return *read;
}

Padding2d LayerText::padding_option(const Padding2d& same) {
  const std::size_t at = find("pad");
  const bool is_padded = at < words_.size();
  if (is_padded && at + 1 < words_.size() && words_[at + 1] == "same") {
    is_used_[at + 1] = true;
    return same;
  }
  const bool is_same = flag("same");
  check(!is_padded || !is_same, "'pad' and 'same' contradict each other; write one of them");
  if (!is_padded) {
    return is_same ? same : Padding2d();
  }
  const auto read = at + 1 < words_.size() ? parse_padding(words_[at + 1]) : std::nullopt;
  check(read.has_value(),
        "expected whole numbers >= 0 after 'pad': one, two as 1x2 (height, width), or four as 1,0,1,2 ",
        "(top, left, bottom, right); write for example \"pad 1\"");
  is_used_[at + 1] = true;
  return *read;
}

double LayerText::real_option(const std::string& name, double value) {
  const std::size_t at = find(name);
  if (at == words_.size()) {
    return value;
  }
  const auto read = at + 1 < words_.size() ? parse<double>(words_[at + 1]) : std::nullopt;
  check(read && std::isfinite(*read), "expected a number after '", name, "'; write for example \"", name, " ", value,
        "\"");
  is_used_[at + 1] = true;
  return *read;
}

void LayerText::done() const {
  for (std::size_t i = 0; i < words_.size(); ++i) {
    check(is_used_[i], "unknown option '", words_[i], "' of '", operation_, "'", did_you_mean(words_[i], known_));
  }
}

}  // namespace detent::recipes
