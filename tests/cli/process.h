#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "tests/data/temp_folder.h"
#include "tests/places.h"

namespace detent::cli {

struct Outcome {
  int status = -1;  ///< the exit status, or -1 if a signal ended it
  std::string out;
  std::string err;
};

inline std::string shell_quoted(const std::string& word) {
  std::string quoted;
  quoted += '\'';
  for (const char letter : word) {
    if (letter == '\'') {
      quoted += "'\\'";
    }
    quoted += letter;
  }
  quoted += '\'';
  return quoted;
}

/// Runs the program as a user does, in `folder`, where its output is kept too. `tail` is added as it is: a redirection;
/// and so is `before`: commands of the shell.
inline Outcome detent(const TempFolder& folder, const std::vector<std::string>& words, const std::string& tail = {},
                      const std::string& before = {}) {
  std::string command = "cd ";
  command.append(shell_quoted(folder.path().string()))
      .append(" && ")
      .append(before)
      .append(shell_quoted(program_path()));
  for (const std::string& word : words) {
    command.append(" ").append(shell_quoted(word));
  }
  const auto out = folder / "stdout.txt";
  const auto err = folder / "stderr.txt";
  command.append(" > ").append(shell_quoted(out.string())).append(" 2> ").append(shell_quoted(err.string()));
  command.append(" ").append(tail);
  const int result = std::system(command.c_str());
  return {.status = WIFEXITED(result) ? WEXITSTATUS(result) : -1, .out = read_text(out), .err = read_text(err)};
}

}  // namespace detent::cli
