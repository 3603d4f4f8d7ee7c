#pragma once

#include <string>
#include <vector>

namespace detent::cli {

/// What a shell reads to complete detent's command lines.
struct ShellScript {
  std::string shell;  ///< "bash"
  std::string text;   ///< cli/help/detent.<shell>, as it was at build time
};

const std::vector<ShellScript>& shell_scripts();

}  // namespace detent::cli
