#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "detent/core/error.h"

namespace detent::interchange {

/// A Python that has these packages: the one that DETENT_PYTHON names, else python3. None, said loudly, if they are
/// missing: skip what needs them.
inline std::optional<std::string> python_with(const std::vector<std::string>& packages) {
  const char* const named = std::getenv("DETENT_PYTHON");
  const std::string python = named != nullptr ? named : "python3";
  for (const std::string& package : packages) {
    const std::string command = "'" + python + "' -c 'import " + package + "' 2>/dev/null";
    if (std::system(command.c_str()) != 0) {
      std::cout << "*** NOT TESTED: " << python << " has no package " << package
                << "; name one that has it in DETENT_PYTHON ***\n";
      return std::nullopt;
    }
  }
  return python;
}

/// Runs `script` in `folder`. Throws Error if it fails.
inline void run_python(const std::string& python, const std::string& script, const std::filesystem::path& folder) {
  std::ofstream(folder / "script.py") << script;
  const std::string command = "cd '" + folder.string() + "' && '" + python + "' script.py";
  check(std::system(command.c_str()) == 0, "python refuses:\n", script);
}

}  // namespace detent::interchange
