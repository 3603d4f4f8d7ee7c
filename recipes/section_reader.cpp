#include "detent/recipes/section_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "detent/core/error.h"
#include "detent/core/text/nearest.h"

namespace detent::recipes {
namespace {

constexpr std::int64_t kLargestWhole = std::int64_t{1} << 53;

std::string describe(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) {
    return fmt::format("\"{}\"", *text);
  }
  if (const auto whole = node.value_exact<std::int64_t>()) {
    return std::to_string(*whole);
  }
  if (const auto number = node.value_exact<double>()) {
    return fmt::format("{}", *number);
  }
  if (const auto flag = node.value_exact<bool>()) {
    return *flag ? "true" : "false";
  }
  return node.is_table() ? "a table" : node.is_array() ? "an array" : "a date or time";
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    text += (i == 0 ? "\"" : i + 1 == words.size() ? "\" or \"" : "\", \"") + words[i];
  }
  return text + "\"";
}

// The nearest number to `example` that the range allows, for "write epochs = 2".
double allowed(double example, const NumberRange& range) {
  return range.contains(example) ? example : std::isfinite(range.max) ? range.max : range.min;
}

}  // namespace

std::string text_of(const NumberRange& range) {
  std::string text;
  if (std::isfinite(range.min)) {
    text += fmt::format(" {} {}", range.is_open_below ? ">" : ">=", range.min);
  }
  if (std::isfinite(range.max)) {
    text += fmt::format("{} {} {}", text.empty() ? "" : " and", range.is_open_above ? "<" : "<=", range.max);
  }
  return text;
}

std::string location(const toml::node& node, const std::string& file) {
  const auto& source = node.source();
  if (source.path && source.path->rfind("--set ", 0) == 0) {
    return *source.path;
  }
  return source.begin ? fmt::format("{}:{}", file, source.begin.line) : file;
}

SectionReader::SectionReader(const toml::table* table, std::string section, std::string file)
    : table_(table), section_(std::move(section)), file_(std::move(file)) {}

const toml::node* SectionReader::find(std::string_view key) {
  known_.emplace_back(key);
  return table_ == nullptr ? nullptr : table_->get(key);
}

void SectionReader::fail_key(std::string_view key, const toml::node& node, const std::string& what) const {
  fail(location(node, file_), ": [", section_, "] ", key, ": ", what);
}

void SectionReader::fail_expected(std::string_view key, const toml::node& node, const std::string& expected,
                                  const std::string& mend) const {
  fail_key(key, node, fmt::format("expected {}, got {}; write {} = {}", expected, describe(node), key, mend));
}

void SectionReader::fail_choice(std::string_view key, const toml::node& node,
                                const std::vector<std::string>& words) const {
  const auto word = node.value_exact<std::string>();
  fail_key(key, node,
           fmt::format("expected {}, got {}{}", joined(words), describe(node),
                       word ? did_you_mean(*word, words) : std::string()));
}

std::optional<std::int64_t> SectionReader::read_whole(std::string_view key, const NumberRange& range,
                                                      std::int64_t example) {
  const toml::node* node = find(key);
  if (node == nullptr) {
    return {};
  }
  const auto value = node->value_exact<std::int64_t>();
  const bool is_exact = value && -kLargestWhole <= *value && *value <= kLargestWhole;
  if (!is_exact || !range.contains(static_cast<double>(*value))) {
    NumberRange exact = range;
    if (value && !is_exact) {
      exact.min = std::max(range.min, -static_cast<double>(kLargestWhole));
      exact.max = std::min(range.max, static_cast<double>(kLargestWhole));
    }
    fail_expected(key, *node, "a whole number" + text_of(exact),
                  fmt::format("{:.0f}", allowed(static_cast<double>(example), range)));
  }
  return value;
}

std::optional<double> SectionReader::read_number(std::string_view key, const NumberRange& range, double example) {
  const toml::node* node = find(key);
  if (node == nullptr) {
    return {};
  }
  std::optional<double> value = node->value_exact<double>();
  if (const auto whole = node->value_exact<std::int64_t>()) {
    value = static_cast<double>(*whole);
  }
  if (!value || !range.contains(*value)) {
    fail_expected(key, *node, "a number" + text_of(range), fmt::format("{:g}", allowed(example, range)));
  }
  return value;
}

void SectionReader::whole(std::string_view key, std::int64_t& value, const NumberRange& range, std::string_view) {
  value = read_whole(key, range, value).value_or(value);
}

void SectionReader::whole(std::string_view key, std::optional<std::int64_t>& value, const NumberRange& range,
                          std::string_view) {
  if (const auto read = read_whole(key, range, value.value_or(0))) {
    value = read;
  }
}

void SectionReader::number(std::string_view key, double& value, const NumberRange& range, std::string_view) {
  value = read_number(key, range, value).value_or(value);
}

void SectionReader::number(std::string_view key, float& value, const NumberRange& range, std::string_view) {
  if (const auto read = read_number(key, range, static_cast<double>(value))) {
    value = static_cast<float>(*read);
  }
}

void SectionReader::number(std::string_view key, std::optional<double>& value, const NumberRange& range,
                           std::string_view) {
  if (const auto read = read_number(key, range, value.value_or(0.99))) {
    value = read;
  }
}

std::optional<bool> SectionReader::read_flag(std::string_view key, bool example) {
  const toml::node* node = find(key);
  if (node == nullptr) {
    return {};
  }
  const auto read = node->value_exact<bool>();
  if (!read) {
    fail_expected(key, *node, "true or false", example ? "true" : "false");
  }
  return read;
}

void SectionReader::flag(std::string_view key, bool& value, std::string_view) {
  value = read_flag(key, value).value_or(value);
}

void SectionReader::flag(std::string_view key, std::optional<bool>& value, std::string_view) {
  if (const auto read = read_flag(key, true)) {
    value = read;
  }
}

void SectionReader::text(std::string_view key, std::string& value) {
  if (const toml::node* node = find(key)) {
    const auto read = node->value_exact<std::string>();
    if (!read || read->empty()) {
      fail_expected(key, *node, "a text", "\"" + value + "\"");
    }
    value = *read;
  }
}

void SectionReader::texts(std::string_view key, std::vector<std::string>& value, std::string_view) {
  const toml::node* node = find(key);
  if (node == nullptr) {
    return;
  }
  if (!node->is_array()) {
    fail_expected(key, *node, "an array of texts", "[\"...\"]");
  }
  value.clear();
  for (const toml::node& element : *node->as_array()) {
    const auto read = element.value_exact<std::string>();
    if (!read) {
      fail_expected(key, element, "texts in the array", "[\"...\"]");
    }
    value.push_back(*read);
  }
}

void SectionReader::done() const {
  if (table_ == nullptr) {
    return;
  }
  for (const auto& [key, node] : *table_) {
    const std::string name(key.str());
    if (std::find(known_.begin(), known_.end(), name) == known_.end()) {
      // For a table in a table, the header's line is the node's own.
      fail(location(node, file_), ": [", section_, "] unknown key '", name, "'", did_you_mean(name, known_));
    }
  }
}

SectionReader section_of(const toml::table& root, const std::string& name, const std::string& file) {
  const toml::node* const node = root.get(name);
  check(node == nullptr || node->is_table(), node == nullptr ? file : location(*node, file), ": '", name,
        "' must be a section; write [", name, "]");
  return {node == nullptr ? nullptr : node->as_table(), name, file};
}

}  // namespace detent::recipes
