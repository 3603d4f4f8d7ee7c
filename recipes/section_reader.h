#pragma once

#include <toml++/toml.h>
#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "detent/core/names.h"
#include "detent/io/options.h"

namespace detent::recipes {

/// Bounds of a number. Whole numbers lie within +-2^53 besides, where doubles are exact.
using NumberRange = RealRange;
/// How messages put them: " > 0 and <= 1", or "" where there are none.
std::string text_of(const NumberRange& range);

/// "recipe.toml:12" for a node of a recipe file, "--set train.epochs=two" for one that an override set.
std::string location(const toml::node& node, const std::string& file);

/// Reads the keys of one section of a recipe. `meaning` is for the reference (sections.h). Each call names one key,
/// leaves `value` (the default) as it is where the key is absent, and throws Error in the form of parse_recipe where it
/// does not fit. `done` refuses all other keys.
class SectionReader {
 public:
  /// `table` may be null: the section is absent. `section` is its name in messages: "train".
  SectionReader(const toml::table* table, std::string section, std::string file);

  void whole(std::string_view key, std::int64_t& value, const NumberRange& range = {}, std::string_view meaning = {});
  void whole(std::string_view key, std::optional<std::int64_t>& value, const NumberRange& range = {},
             std::string_view meaning = {});
  void number(std::string_view key, double& value, const NumberRange& range = {}, std::string_view meaning = {});
  void number(std::string_view key, float& value, const NumberRange& range = {}, std::string_view meaning = {});
  void number(std::string_view key, std::optional<double>& value, const NumberRange& range = {},
              std::string_view meaning = {});
  void flag(std::string_view key, bool& value, std::string_view meaning = {});
  void flag(std::string_view key, std::optional<bool>& value, std::string_view meaning = {});
  void text(std::string_view key, std::string& value);
  void texts(std::string_view key, std::vector<std::string>& value, std::string_view meaning = {});

  /// One of several words.
  template <typename T>
  void choice(std::string_view key, T& value, const Names<T>& choices, std::string_view /*meaning*/ = {}) {
    const toml::node* node = find(key);
    if (node == nullptr) {
      return;
    }
    std::vector<std::string> words;
    for (const auto& [word, choice] : choices) {
      if (node->value_exact<std::string>() == word) {
        value = choice;
        return;
      }
      words.emplace_back(word);
    }
    fail_choice(key, *node, words);
  }

  /// An array of some of several words, none of them twice.
  template <typename T>
  void choices(std::string_view key, std::vector<T>& value, const Names<T>& names, std::string_view /*meaning*/ = {}) {
    std::vector<std::string> texts;
    this->texts(key, texts);
    value.clear();
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const toml::node& node = *find(key)->as_array()->get(i);
      const auto row = std::ranges::find(names, texts[i], &Names<T>::value_type::first);
      if (row == names.end()) {
        std::vector<std::string> words;
        for (const auto& [word, choice] : names) {
          words.emplace_back(word);
        }
        fail_choice(key, node, words);
      }
      if (std::ranges::find(value, row->second) != value.end()) {
        fail_key(key, node, "'" + texts[i] + "' stands twice; remove one");
      }
      value.push_back(row->second);
    }
  }

  /// A key of more than one form, which `read` reads. `by_default` says in the reference what is so without it.
  template <typename T>
  void form(std::string_view /*key*/, T& value, void (*read)(SectionReader&, T&), std::string_view /*by_default*/,
            std::string_view /*meaning*/) {
    read(*this, value);
  }

  /// The key's node, noted as known; null if absent. For keys that take more than one form.
  const toml::node* find(std::string_view key);
  /// Throws Error: "<where>: [section] key: expected <expected>, got <node>; write <mend>".
  [[noreturn]] void fail_expected(std::string_view key, const toml::node& node, const std::string& expected,
                                  const std::string& mend) const;
  /// Throws Error: "<where>: [section] key: <what>".
  [[noreturn]] void fail_key(std::string_view key, const toml::node& node, const std::string& what) const;
  /// Throws Error for a key that nobody asked for.
  void done() const;

  const toml::table* table() const { return table_; }
  const std::string& file() const { return file_; }

 private:
  [[noreturn]] void fail_choice(std::string_view key, const toml::node& node,
                                const std::vector<std::string>& words) const;
  std::optional<bool> read_flag(std::string_view key, bool example);
  std::optional<std::int64_t> read_whole(std::string_view key, const NumberRange& range, std::int64_t example);
  std::optional<double> read_number(std::string_view key, const NumberRange& range, double example);

  const toml::table* table_;
  std::string section_;
  std::string file_;
  std::vector<std::string> known_;
};

/// Its section [name], which may be absent. Throws Error where the key holds something else.
SectionReader section_of(const toml::table& root, const std::string& name, const std::string& file);

}  // namespace detent::recipes
