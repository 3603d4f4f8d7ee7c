#include <algorithm>
#include <nlohmann/json.hpp>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/cli/help/candidates.h"
#include "detent/cli/help/scripts.h"
#include "detent/core/text/nearest.h"
#include "detent/report/json_text.h"

namespace detent::cli {
namespace {

constexpr const char* kWords = "words";

std::string without_breaks(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  std::ranges::replace(text, '\t', ' ');
  return text;
}

// A line a candidate; what it means behind a tab.
int print_words(const Arguments& arguments) {
  const std::vector<std::string>& names = arguments.positionals();
  nlohmann::json json = nlohmann::json::array();
  std::string text;
  for (const Candidate& candidate : candidates(commands(), {names.begin() + 1, names.end()})) {
    json.push_back({{"word", candidate.word}, {"meaning", candidate.meaning}});
    text += candidate.word + (candidate.meaning.empty() ? "" : "\t" + without_breaks(candidate.meaning)) + "\n";
  }
  print(arguments.has("json") ? report::json_text({{"words", json}}) : text);
  return 0;
}

int completion(const Arguments& arguments) {
  const std::vector<std::string>& names = arguments.positionals();
  if (names[0] == kWords) {
    return print_words(arguments);
  }
  std::vector<std::string> known;
  for (const ShellScript& script : shell_scripts()) {
    if (script.shell == names[0]) {
      check(names.size() == 1, "completion: expected one shell, got ", names.size(), " names; write detent completion ",
            names[0]);
      print(arguments.has("json") ? report::json_text({{"shell", script.shell}, {"script", script.text}})
                                  : script.text);
      return 0;
    }
    known.push_back(script.shell);
  }
  fail("completion: unknown shell '", names[0], "'", did_you_mean(names[0], known, ";"), " expected ", listed(known));
}

}  // namespace

Command completion_command() {
  return {.spec = {.name = "completion",
                   .positionals = "bash|zsh|fish | words WORD...",
                   .min_positionals = 1,
                   .max_positionals = 1'000'000,
                   .summary = "What a shell reads to complete command lines with the tab key",
                   .example = "detent completion fish | source       # in ~/.config/fish/config.fish\n"
                              "source <(detent completion bash)      # in ~/.bashrc; zsh likewise, in ~/.zshrc\n"
                              "detent completion words -- run mnist-cnn --s    # what the last word may become",
                   .options = {json_option()},
                   .takes_empty = true,
                   .names = {{"bash|zsh|fish", "The script of this shell"},
                             {"words", "What the last WORD may become, a line each: this is what the scripts ask"}}},
          .run = completion};
}

}  // namespace detent::cli
