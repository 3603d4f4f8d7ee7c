#include "detent/cli/help/candidates.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "detent/recipes/published/published_table.h"
#include "detent/recipes/reference.h"
#include "detent/recipes/shipped.h"

namespace detent::cli {
namespace {

namespace fs = std::filesystem;

// The candidates that begin as the word does.
class Found {
 public:
  /// `front` stands before each of them: "--out=".
  Found(std::string begun, std::string front) : begun_(std::move(begun)), front_(std::move(front)) {}

  const std::string& begun() const { return begun_; }
  void add(const std::string& word, const std::string& meaning = {}) {
    if (word.starts_with(begun_)) {
      all.push_back({front_ + word, meaning});
    }
  }
  std::vector<Candidate> all = {};

 private:
  std::string begun_;
  std::string front_;
};

// "~/x" as the shell reads it.
fs::path path_of(const std::string& text) {
  const char* const home = std::getenv("HOME");
  return home != nullptr && text.starts_with("~/") ? home + text.substr(1) : text;
}

// Folders, and files that end as one of `endings` says; without endings all files.
void add_paths(Found& found, const std::vector<std::string>& endings, bool has_files = true) {
  const std::string folder = found.begun().substr(0, found.begun().rfind('/') + 1);
  const bool is_hidden_wanted = found.begun().substr(folder.size()).starts_with('.');
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator entries(folder.empty() ? fs::path(".") : path_of(folder), error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    std::error_code ignored;
    const bool is_folder = entries->is_directory(ignored);
    const bool ends_so =
        endings.empty() || std::ranges::any_of(endings, [&](const std::string& end) { return name.ends_with(end); });
    const bool is_printable = std::ranges::none_of(name, [](char c) { return c == '\n' || c == '\t'; });
    if (name.starts_with('.') == is_hidden_wanted && is_printable && (is_folder || (has_files && ends_so))) {
      names.push_back(is_folder ? name + "/" : name);
    }
  }
  std::ranges::sort(names);
  for (const std::string& name : names) {
    found.add(folder + name);
  }
}

void add_recipes(Found& found) {
  for (const recipes::ShippedRecipe& recipe : recipes::shipped_recipes()) {
    found.add(std::string(recipe.name), recipes::first_comment(recipe.text));
  }
}

void add_tables(Found& found) {
  for (const recipes::PublishedTable& table : recipes::published_tables()) {
    found.add(table.name, table.description);
  }
}

// "train.epochs=", and behind it what the key may be.
void add_keys(Found& found) {
  const bool has_key = found.begun().find('=') != std::string::npos;
  for (const recipes::Key& key : recipes::section_keys()) {
    if (!has_key) {
      found.add(key.name + "=", key.meaning);
    }
    for (const std::string& word : has_key ? key.words : std::vector<std::string>()) {
      found.add(key.name + "=" + word);
    }
  }
}

// What the label of a value stands for.
void add_values(const std::string& label, Found& found) {
  const std::vector<std::string> choices = choices_of(label);
  for (const std::string& choice : choices) {
    found.add(choice);
  }
  if (label == "RECIPE" || label == "MODEL") {
    add_recipes(found);
    add_paths(found, label == "RECIPE" ? std::vector<std::string>{".toml"} : std::vector<std::string>{".toml", ".h5"});
  } else if (label == "TABLE") {
    add_tables(found);
  } else if (label == "KEY=VALUE") {
    add_keys(found);
  } else if (label == "DIR" || label == "RUN") {
    add_paths(found, {}, false);
  } else if (label == "FILE" || label == "PATH") {
    add_paths(found, {});
  } else if (const std::size_t dot = label.find('.'); dot != std::string::npos && choices.empty()) {
    add_paths(found, {label.substr(dot)});
  }
}

bool is_word(const std::string& slot) { return !slot.empty() && slot[0] >= 'a' && slot[0] <= 'z'; }

// "show [PATH] | fetch mnist": the ways in which names may follow one another, as lists of words and labels.
std::vector<std::vector<std::string>> ways_of(const std::string& positionals) {
  std::vector<std::vector<std::string>> ways(1);
  std::istringstream slots(positionals);
  for (std::string slot; slots >> slot;) {
    if (slot == "|") {
      ways.emplace_back();
      continue;
    }
    std::erase_if(slot, [](char c) { return c == '[' || c == ']'; });
    ways.back().push_back(slot);
  }
  return ways;
}

// The slot at a place of a way; the last one may repeat: "FILE...". Empty: there is none.
std::string slot_at(const std::vector<std::string>& way, std::size_t place) {
  const std::string slot = place < way.size()                            ? way[place]
                           : !way.empty() && way.back().ends_with("...") ? way.back()
                                                                         : "";
  return slot.ends_with("...") ? slot.substr(0, slot.size() - 3) : slot;
}

bool fits(const std::vector<std::string>& way, const std::vector<std::string>& names) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string slot = slot_at(way, i);
    const std::vector<std::string> choices = choices_of(slot);
    const bool is_so = choices.empty() ? !is_word(slot) || slot == names[i] : std::ranges::count(choices, names[i]) > 0;
    if (slot.empty() || !is_so) {
      return false;
    }
  }
  return true;
}

void add_positionals(const CommandSpec& spec, const std::vector<std::string>& names, Found& found) {
  for (const std::vector<std::string>& way : ways_of(spec.positionals)) {
    const std::string slot = slot_at(way, names.size());
    if (slot.empty() || !fits(way, names)) {
      continue;
    }
    if (is_word(slot) && choices_of(slot).empty()) {
      found.add(slot);
    } else {
      add_values(slot, found);
    }
  }
}

const OptionSpec* option_of(const CommandSpec& spec, const std::string& word) {
  for (const OptionSpec& option : spec.options) {
    const bool has_letter = option.name.size() > 2 && option.name[1] == ',';
    if (word == "--" + long_name(option.name) || (has_letter && word == std::string("-") + option.name[0])) {
      return &option;
    }
  }
  return nullptr;
}

// A command line up to the word that is completed.
struct Before {
  std::vector<std::string> names = {};   // positionals
  std::vector<std::string> flags = {};   // options without a value
  const OptionSpec* awaiting = nullptr;  // the option whose value the word is
  bool is_plain = false;                 // behind "--", where nothing is an option
};

Before before(const CommandSpec& spec, const std::vector<std::string>& words) {
  Before result;
  for (std::size_t i = 1; i + 1 < words.size(); ++i) {
    const std::string& word = words[i];
    if (result.awaiting != nullptr) {
      result.awaiting = nullptr;
    } else if (result.is_plain || !word.starts_with('-') || word == "-") {
      result.names.push_back(word);
    } else if (word == "--") {
      result.is_plain = true;
    } else if (const OptionSpec* const option = option_of(spec, word)) {
      result.awaiting = option->value.empty() ? nullptr : option;
      result.flags.push_back(option->value.empty() ? option->name : "");
    }
  }
  return result;
}

std::vector<Candidate> of_command(const CommandSpec& spec, const std::vector<std::string>& words) {
  const std::string& word = words.back();
  const Before found_before = before(spec, words);
  if (found_before.awaiting != nullptr) {
    Found found(word, "");
    add_values(found_before.awaiting->value, found);
    return std::move(found.all);
  }
  if (const std::size_t equals = word.find('='); equals != std::string::npos && word.starts_with("--")) {
    Found found(word.substr(equals + 1), word.substr(0, equals + 1));
    if (const OptionSpec* const option = option_of(spec, word.substr(0, equals))) {
      add_values(option->value, found);
    }
    return std::move(found.all);
  }
  Found found(word, "");
  if (!word.starts_with('-') || found_before.is_plain) {
    add_positionals(spec, found_before.names, found);
  }
  if (word.starts_with('-') || (word.empty() && found.all.empty())) {
    for (const OptionSpec& option : spec.options) {
      if (std::ranges::count(found_before.flags, option.name) == 0) {
        found.add("--" + long_name(option.name), option.help);
      }
    }
    found.add("--help", "Show this help");
  }
  return std::move(found.all);
}

}  // namespace

std::vector<Candidate> candidates(const std::vector<Command>& commands, const std::vector<std::string>& words) {
  if (words.empty()) {
    return {};
  }
  const bool is_first = words.size() == 1;
  if (is_first || (words.size() == 2 && words[0] == "help")) {
    Found found(words.back(), "");
    for (const Command& command : commands) {
      found.add(command.spec.name, command.spec.summary);
    }
    if (is_first) {
      found.add("help", "Show the help of a command");
    }
    if (is_first && words[0].starts_with('-')) {
      found.add("--help", "Show the help");
      found.add("--version", "Show the versions");
    }
    return std::move(found.all);
  }
  const std::string name = words[0] == "--version" ? "version" : words[0];
  const auto command = std::ranges::find(commands, name, [](const Command& known) { return known.spec.name; });
  return command == commands.end() ? std::vector<Candidate>() : of_command(command->spec, words);
}

}  // namespace detent::cli
