#pragma once

#include <functional>
#include <limits>

#include "detent/core/geometry.h"
#include "detent/core/names.h"
#include "detent/io/option_reader.h"

/// What is said of a module's options, once a setting. An options struct lists its settings,
///
///   struct Options {
///     double p = 0.5;
///     void describe(OptionList& list) { list.real("p", p, {.min = 0, .max = 1, .is_open_above = true}, "the share"); }
///   };
///
/// and from this one list come their JSON (write_options), reading it (read_options), the checks of their ranges
/// (check_options) and the reference table (options_table).
namespace detent {

/// The bounds of an integer setting.
struct IntegerRange {
  std::int64_t min = 0;
  std::int64_t max = kMaxElements;
  bool must_be_set = false;  ///< whether 0, the default, says that it was forgotten
};

/// The bounds of a real setting. Infinities and NaN are out.
struct RealRange {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool is_open_below = false;  ///< min itself is out
  bool is_open_above = false;  ///< max itself is out
  bool contains(double value) const;
  /// "0 <= p < 1" for the setting `key`.
  std::string text(std::string_view key) const;
};

/// What `describe` tells of each setting: its key in files, its value, its bounds and what it means. Each is read where
/// it stands; one with `is_written` = false is left out when options are written.
class OptionList {
 public:
  virtual ~OptionList() = default;
  virtual void integer(const char* key, std::int64_t& value, IntegerRange range, const char* meaning) = 0;
  virtual void real(const char* key, double& value, RealRange range, const char* meaning, bool is_written = true) = 0;
  virtual void boolean(const char* key, bool& value, const char* meaning, bool is_written = true) = 0;
  /// In files a number, or [height, width] where they differ.
  virtual void extent(const char* key, Extent2d& value, IntegerRange range, const char* meaning) = 0;
  /// In files a number where all sides are equal, [height, width] where opposite ones are, else [top, left, bottom,
  /// right].
  virtual void padding(const char* key, Padding2d& value, const char* meaning) = 0;
  /// One of several words.
  template <typename E>
  void choice(const char* key, E& value, const Names<E>& names, const char* meaning) {
    std::vector<std::string_view> words;
    for (const auto& [word, choice] : names) {
      words.push_back(word);
    }
    const auto place = static_cast<std::size_t>(std::ranges::find(words, name_in(names, value)) - words.begin());
    value = names[word(key, words, place, meaning)].second;
  }

 protected:
  /// The place in `words` of the word that the setting has now, given the one that it had.
  virtual std::size_t word(const char* key, const std::vector<std::string_view>& words, std::size_t now,
                           const char* meaning) = 0;
};

/// A list as a function that calls it.
using OptionLister = std::function<void(OptionList&)>;

/// Throws Error for a value out of its bounds: "conv2d: kernel: expected at least 1, got 0".
void check_options(std::string_view kind, const OptionLister& describe);
/// {"out_channels": 32, ...}
nlohmann::json write_options(const OptionLister& describe);
/// Sets the settings that `json` has. Throws Error as OptionReader does.
void read_options(std::string_view kind, const nlohmann::json& json, const OptionLister& describe);
/// A table in Markdown: option, default, values, meaning.
std::string options_table(const OptionLister& describe);

/// The same for a struct that has `describe`. (Json is nlohmann::json, which who calls it includes.)
template <typename Options>
void check_options(std::string_view kind, const Options& options) {
  Options copy = options;
  check_options(kind, OptionLister([&](OptionList& list) { copy.describe(list); }));
}
template <typename Options, typename Json = nlohmann::json>
Json write_options(const Options& options) {
  Options copy = options;
  return write_options(OptionLister([&](OptionList& list) { copy.describe(list); }));
}
template <typename Options>
Options read_options(std::string_view kind, const nlohmann::json& json) {
  Options options;
  read_options(kind, json, OptionLister([&](OptionList& list) { options.describe(list); }));
  return options;
}
template <typename Options>
std::string options_table() {
  Options options;
  return options_table(OptionLister([&](OptionList& list) { options.describe(list); }));
}

/// Of what has no settings.
struct NoOptions {
  void describe(OptionList&) {}
};

}  // namespace detent
