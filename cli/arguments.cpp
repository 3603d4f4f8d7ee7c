// Values are taken as they are: a comma in --set keep_float=["a", "b"] does not part them.
#define CXXOPTS_VECTOR_DELIMITER '\x1f'
#include "detent/cli/arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cxxopts.hpp>
#include <sstream>

#include "detent/core/error.h"
#include "detent/core/text/nearest.h"

namespace detent::cli {
namespace {

constexpr const char* kPositionals = "positionals";

cxxopts::Options make_options(const CommandSpec& spec) {
  cxxopts::Options options("detent " + spec.name, spec.summary);
  options.custom_help("[options]").positional_help(spec.positionals);
  options.allow_unrecognised_options();
  for (const OptionSpec& option : spec.options) {
    if (option.value.empty()) {
      options.add_options()(option.name, option.help);
    } else {
      options.add_options()(option.name, option.help, cxxopts::value<std::vector<std::string>>(), option.value);
    }
  }
  options.add_options()("h,help", "Show this help");
  options.add_options("hidden")(kPositionals, "", cxxopts::value<std::vector<std::string>>());
  options.parse_positional({kPositionals});
  return options;
}

// cxxopts puts typographic quotes around names.
std::string plain_quotes(std::string text) {
  for (const std::string quote : {"\u2018", "\u2019"}) {
    for (std::size_t at = text.find(quote); at != std::string::npos; at = text.find(quote)) {
      text.replace(at, quote.size(), "'");
    }
  }
  return text;
}

// An empty text is what a shell makes of "$UNSET": never a name, a number or a setting.
void check_not_empty(const CommandSpec& spec, const cxxopts::KeyValue& argument) {
  const bool is_positional = argument.key() == kPositionals;
  check(!argument.value().empty() || (is_positional && spec.takes_empty), spec.name, ": ",
        is_positional ? spec.positionals : "--" + argument.key(), ": got an empty text; see detent ", spec.name,
        " --help");
}

void check_choice(const CommandSpec& spec, const cxxopts::KeyValue& argument) {
  const auto option =
      std::ranges::find(spec.options, argument.key(), [](const OptionSpec& known) { return long_name(known.name); });
  const std::vector<std::string> choices =
      option == spec.options.end() ? std::vector<std::string>() : choices_of(option->value);
  check(choices.empty() || std::ranges::count(choices, argument.value()) > 0, spec.name, ": --", argument.key(),
        ": expected ", listed(choices), ", got '", argument.value(), "'", did_you_mean(argument.value(), choices));
}

void check_known(const CommandSpec& spec, const std::vector<std::string>& unmatched) {
  if (unmatched.empty()) {
    return;
  }
  const std::string word = unmatched[0].substr(0, unmatched[0].find('='));
  std::vector<std::string> known{"--help"};
  for (const OptionSpec& option : spec.options) {
    known.push_back("--" + long_name(option.name));
  }
  fail(spec.name, ": unknown option '", word, "'", hint(word, known), " `detent ", spec.name,
       " --help` lists the options");
}

// What the labels of positionals mean that several commands have.
std::string meaning_of(const CommandSpec& spec, const std::string& label) {
  static const std::vector<std::pair<std::string, std::string>> kCommon{
      {"RECIPE", "A recipe: the name of one that ships (detent ls), or a file (my.toml)"},
      {"FP32.h5", "A float model: fp32.h5 of a run"},
      {"MODEL.onnx", "A model of another program: PyTorch, Keras, scikit-learn"},
      {"QAT.h5", "A model from quantization-aware training: qat.h5 of a run"},
      {"INT8.h5", "A model that ships: int8.h5 of a run"},
      {"MODEL.h5", "A model of any kind: fp32.h5, qat.h5 or int8.h5 of a run"},
      {"A.h5", "A model of any kind: fp32.h5, qat.h5 or int8.h5 of a run"},
      {"B.h5", "Another form of it, or another model for the same data"},
      {"RUN", "The folder of a run, or its metrics.json"}};
  for (const auto* const names : {&spec.names, &kCommon}) {
    const auto found = std::ranges::find(*names, label, &std::pair<std::string, std::string>::first);
    if (found != names->end()) {
      return found->second;
    }
  }
  return {};
}

// "Names:" and a line each, or nothing.
std::string names_text(const CommandSpec& spec) {
  std::istringstream slots(spec.positionals);
  std::vector<std::pair<std::string, std::string>> lines;
  std::size_t width = 0;
  for (std::string label; slots >> label;) {
    std::erase_if(label, [](char c) { return c == '[' || c == ']'; });
    label = label.substr(0, label.find("..."));
    const std::string meaning = meaning_of(spec, label);
    if (!meaning.empty() && std::ranges::count(lines, std::pair(label, meaning)) == 0) {
      lines.emplace_back(label, meaning);
      width = std::max(width, label.size());
    }
  }
  std::string text = lines.empty() ? "" : "Names:\n";
  for (const auto& [label, meaning] : lines) {
    text += fmt::format("  {:<{}}  {}\n", label, width, meaning);
  }
  return lines.empty() ? text : text + "\n";
}

// The ways in which it is called, a line each.
std::string usage_text(const CommandSpec& spec) {
  std::string text = "Usage:\n";
  for (std::size_t begin = 0; begin <= spec.positionals.size();) {
    const std::size_t end = std::min(spec.positionals.find(" | ", begin), spec.positionals.size());
    const std::string names = spec.positionals.substr(begin, end - begin);
    text += "  detent " + spec.name + (names.empty() ? "" : " " + names) + " [options]\n";
    begin = end + 3;
  }
  return text + "\n";
}

}  // namespace

std::string hint(const std::string& word, const std::vector<std::string>& known) {
  return did_you_mean(word, known, ";");
}

std::string long_name(const std::string& option) { return option.substr(option.find(',') + 1); }

std::vector<std::string> choices_of(const std::string& label) {
  std::vector<std::string> choices;
  if (label.find('|') == std::string::npos || label[0] < 'a' || label[0] > 'z') {
    return choices;
  }
  for (std::size_t begin = 0; begin <= label.size();) {
    const std::size_t end = std::min(label.find('|', begin), label.size());
    choices.push_back(label.substr(begin, end - begin));
    begin = end + 1;
  }
  return choices;
}

std::string listed(const std::vector<std::string>& choices) {
  std::string text;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    text += (i == 0 ? "" : i + 1 == choices.size() ? " or " : ", ") + choices[i];
  }
  return text;
}

std::string shell_quoted(const std::string& word) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=.,:/@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) {
    return word;
  }
  std::string quoted = "'";
  for (const char letter : word) {
    quoted += letter == '\'' ? "'\\''" : std::string(1, letter);
  }
  return quoted + "'";
}

Arguments::Arguments(const CommandSpec& spec, const std::vector<std::string>& words) : command_("detent " + spec.name) {
  for (const std::string& word : words) {
    command_ += " " + shell_quoted(word);
  }
  std::vector<const char*> argv{"detent"};
  for (const std::string& word : words) {
    argv.push_back(word.c_str());
  }
  try {
    cxxopts::Options options = make_options(spec);
    const cxxopts::ParseResult result = options.parse(static_cast<int>(argv.size()), argv.data());
    check_known(spec, result.unmatched());
    for (const cxxopts::KeyValue& argument : result.arguments()) {
      check_not_empty(spec, argument);
      check_choice(spec, argument);
      (argument.key() == kPositionals ? positionals_ : values_[argument.key()]).push_back(argument.value());
    }
  } catch (const cxxopts::exceptions::exception& error) {
    fail(spec.name, ": ", plain_quotes(error.what()), "; see detent ", spec.name, " --help");
  }
  const bool fits = spec.min_positionals <= positionals_.size() && positionals_.size() <= spec.max_positionals;
  check(fits || has("help"), spec.name, ": expected ", spec.positionals.empty() ? "no names" : spec.positionals,
        ", got ", positionals_.size(), positionals_.size() == 1 ? " name" : " names",
        "; for example: ", spec.example.substr(0, spec.example.find('\n')));
}

std::optional<std::string> Arguments::text(const std::string& option) const {
  const auto found = values_.find(option);
  return found == values_.end() ? std::nullopt : std::optional<std::string>(found->second.back());
}

std::vector<std::string> Arguments::texts(const std::string& option) const {
  const auto found = values_.find(option);
  return found == values_.end() ? std::vector<std::string>() : found->second;
}

std::int64_t Arguments::whole(const std::string& option, std::int64_t value, std::int64_t min, std::int64_t max) const {
  const std::optional<std::string> word = text(option);
  if (!word) {
    return value;
  }
  std::int64_t result = 0;
  const auto [end, error] = std::from_chars(word->data(), word->data() + word->size(), result);
  check(error == std::errc() && end == word->data() + word->size() && min <= result && result <= max, "--", option,
        ": expected a whole number from ", min, " to ", max, ", got '", *word, "'; write --", option, " ",
        std::clamp(value, min, max));
  return result;
}

std::optional<double> Arguments::number(const std::string& option, double min, double max) const {
  const std::optional<std::string> word = text(option);
  if (!word) {
    return {};
  }
  double result = 0.0;
  const auto [end, error] = std::from_chars(word->data(), word->data() + word->size(), result);
  check(error == std::errc() && end == word->data() + word->size() && min <= result && result <= max, "--", option,
        ": expected a number from ", min, " to ", max, ", got '", *word, "'");
  return result;
}

std::string cxxopts_version() {
  return fmt::format("{}.{}.{}", CXXOPTS__VERSION_MAJOR, CXXOPTS__VERSION_MINOR, CXXOPTS__VERSION_PATCH);
}

std::string help_text(const CommandSpec& spec) {
  std::string example = "  " + spec.example;
  for (std::size_t at = example.find('\n'); at != std::string::npos; at = example.find('\n', at + 1)) {
    example.insert(at + 1, "  ");
  }
  const std::string title = spec.summary + "\n\n" + usage_text(spec) + names_text(spec);
  const std::string options = make_options(spec).help({""});
  const std::size_t first = options.find("  -") == std::string::npos ? 0 : options.find("  -");
  return title + "Options:\n" + options.substr(std::min(first, options.find("      --"))) + "\nExample:\n" + example +
         "\n";
}

}  // namespace detent::cli
