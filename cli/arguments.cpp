// Values are taken as they are: a comma in --set keep_float=["a", "b"] does not part them.
#define CXXOPTS_VECTOR_DELIMITER '\x1f'
#include "detent/cli/arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cxxopts.hpp>

#include "detent/core/error.h"
#include "detent/recipes/nearest.h"

namespace detent::cli {
namespace {

constexpr const char* kPositionals = "positionals";

std::string long_name(const std::string& name) { return name.substr(name.find(',') + 1); }

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
  check(!argument.value().empty(), spec.name, ": ",
        argument.key() == kPositionals ? spec.positionals : "--" + argument.key(), ": got an empty text; see detent ",
        spec.name, " --help");
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

}  // namespace

std::string hint(const std::string& word, const std::vector<std::string>& known) {
  const auto longer = std::ranges::find_if(known, [&](const std::string& name) { return name.starts_with(word); });
  if (longer != known.end() && word.size() > 1 && !word.ends_with('-')) {
    return "; did you mean '" + *longer + "'?";
  }
  const std::string near = recipes::did_you_mean(word, known);
  return near.empty() ? ";" : near;
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

std::string help_text(const CommandSpec& spec) {
  std::string example = "  " + spec.example;
  for (std::size_t at = example.find('\n'); at != std::string::npos; at = example.find('\n', at + 1)) {
    example.insert(at + 1, "  ");
  }
  const std::string title = spec.summary + "\n\nUsage:\n  detent " + spec.name +
                            (spec.positionals.empty() ? "" : " " + spec.positionals) + " [options]\n\n";
  const std::string options = make_options(spec).help({""});
  const std::size_t first = options.find("  -") == std::string::npos ? 0 : options.find("  -");
  return title + "Options:\n" + options.substr(std::min(first, options.find("      --"))) + "\nExample:\n" + example +
         "\n";
}

}  // namespace detent::cli
