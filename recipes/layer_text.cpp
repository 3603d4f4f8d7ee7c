#include "detent/recipes/layer_text.h"

#include <charconv>
#include <cmath>
#include <optional>
#include <sstream>

#include "detent/core/error.h"
#include "detent/recipes/nearest.h"

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

std::int64_t LayerText::window(std::string_view example) {
  const std::string word = next("a window", example);
  const std::size_t cross = word.find('x');
  const auto height = parse_whole(word.substr(0, cross), 1);
  const auto width = cross == std::string::npos ? height : parse_whole(word.substr(cross + 1), 1);
  check(height && width, "expected a window such as 3x3, got '", word, "'; write for example \"", example, "\"");
  check(*height == *width, "expected a square window, got '", word, "'; write for example \"", example, "\"");
  return *height;
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
