#pragma once

#include <string>
#include <vector>

#include "detent/cli/commands.h"

namespace detent::cli {

/// What may stand at a place of a command line.
struct Candidate {
  std::string word;     ///< one that ends in '/' or '=' goes on
  std::string meaning;  ///< in a few words; may be empty

  bool operator==(const Candidate&) const = default;
};

/// What the last of `words`, those behind "detent", may become: commands, options, the values of both, from what the
/// commands say that they take (CommandSpec). Labels of values say what is looked for: RECIPE recipes that ship and
/// files of recipes, TABLE published tables, KEY=VALUE keys of recipes, DIR and RUN folders, FILE and PATH files,
/// FILE.h5 or another ending files of that ending, a|b those words. Files lie where the word leads; folders end in '/'.
std::vector<Candidate> candidates(const std::vector<Command>& commands, const std::vector<std::string>& words);

}  // namespace detent::cli
