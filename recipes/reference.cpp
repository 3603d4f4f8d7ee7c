#include "detent/recipes/reference.h"

#include <fmt/format.h>

#include "detent/recipes/sections.h"

namespace detent::recipes {
namespace {

/// Takes what SectionReader takes, and makes a table of it.
class SectionTable {
 public:
  std::string text = "| key | default | values | meaning |\n| --- | --- | --- | --- |\n";

  template <typename T>
  void whole(std::string_view key, const T& value, const NumberRange& range, std::string_view meaning) {
    row(key, default_of(value), "whole number" + text_of(range), meaning);
  }
  template <typename T>
  void number(std::string_view key, const T& value, const NumberRange& range, std::string_view meaning) {
    row(key, default_of(value), "number" + text_of(range), meaning);
  }
  template <typename T>
  void flag(std::string_view key, const T& value, std::string_view meaning) {
    row(key, default_of(value), "`true`, `false`", meaning);
  }
  void texts(std::string_view key, const std::vector<std::string>&, std::string_view meaning) {
    row(key, "`[]`", "texts", meaning);
  }
  template <typename T>
  void choice(std::string_view key, const T& value, const Names<T>& names, std::string_view meaning) {
    row(key, fmt::format("`\"{}\"`", name_in(names, value)), words_of(names), meaning);
  }
  template <typename T>
  void choices(std::string_view key, const std::vector<T>&, const Names<T>& names, std::string_view meaning) {
    row(key, "`[]`", "some of " + words_of(names), meaning);
  }
  template <typename T, typename Read>
  void form(std::string_view key, const T&, Read, std::string_view by_default, std::string_view meaning) {
    row(key, by_default, "", meaning);
  }

 private:
  template <typename T>
  static std::string words_of(const Names<T>& names) {
    std::string words;
    for (const auto& [word, choice] : names) {
      words += fmt::format("{}`\"{}\"`", words.empty() ? "" : ", ", word);
    }
    return words;
  }
  template <typename T>
  static std::string default_of(const T& value) {
    return fmt::format("`{}`", value);
  }
  template <typename T>
  static std::string default_of(const std::optional<T>& value) {
    return value ? default_of(*value) : "none";
  }
  void row(std::string_view key, std::string_view by_default, std::string_view values, std::string_view meaning) {
    text += fmt::format("| `{}` | {} | {} | {} |\n", key, by_default, values, meaning);
  }
};

/// Takes the same, and makes a list of it.
class KeyList {
 public:
  KeyList(std::string section, std::vector<Key>& keys) : section_(std::move(section)), keys_(keys) {}

  template <typename T>
  void whole(std::string_view key, const T&, const NumberRange&, std::string_view meaning) {
    add(key, meaning);
  }
  template <typename T>
  void number(std::string_view key, const T&, const NumberRange&, std::string_view meaning) {
    add(key, meaning);
  }
  template <typename T>
  void flag(std::string_view key, const T&, std::string_view meaning) {
    add(key, meaning, {"true", "false"});
  }
  void texts(std::string_view key, const std::vector<std::string>&, std::string_view meaning) { add(key, meaning); }
  template <typename T>
  void choice(std::string_view key, const T&, const Names<T>& names, std::string_view meaning) {
    add(key, meaning);
    for (const auto& [word, choice] : names) {
      keys_.back().words.emplace_back(word);
    }
  }
  template <typename T>
  void choices(std::string_view key, const std::vector<T>&, const Names<T>&, std::string_view meaning) {
    add(key, meaning);
  }
  template <typename T, typename Read>
  void form(std::string_view key, const T&, Read, std::string_view, std::string_view meaning) {
    add(key, meaning);
  }

 private:
  void add(std::string_view key, std::string_view meaning, std::vector<std::string> words = {}) {
    keys_.push_back({section_ + "." + std::string(key), std::string(meaning), std::move(words)});
  }
  std::string section_;
  std::vector<Key>& keys_;
};

template <typename Settings>
std::string table_of(Settings settings) {
  SectionTable table;
  describe(table, settings);
  return std::move(table.text);
}

template <typename Settings>
void list(const std::string& section, Settings settings, std::vector<Key>& keys) {
  KeyList listed(section, keys);
  describe(listed, settings);
}

}  // namespace

std::vector<std::pair<std::string, std::string>> sections_reference() {
  return {{"data", table_of(train::DataSettings())},         {"train", table_of(train::TrainSettings())},
          {"quantize", table_of(train::QuantizeSettings())}, {"qat", table_of(train::QatSettings())},
          {"convert", table_of(train::ConvertSettings())},   {"check", table_of(evaluation::CheckSettings())}};
}

std::vector<Key> section_keys() {
  std::vector<Key> keys;
  list("data", train::DataSettings(), keys);
  list("train", train::TrainSettings(), keys);
  list("quantize", train::QuantizeSettings(), keys);
  list("qat", train::QatSettings(), keys);
  list("convert", train::ConvertSettings(), keys);
  list("check", evaluation::CheckSettings(), keys);
  return keys;
}

}  // namespace detent::recipes
