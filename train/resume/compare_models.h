#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace detent::train {

/// Of a model file that two runs wrote.
struct ModelComparison {
  std::string name = {};        ///< "int8.h5"
  std::uintmax_t bytes = 0;     ///< of the first; of the second where that has it alone
  std::string difference = {};  ///< in one line; empty: the same bytes
  bool is_equal() const { return difference.empty(); }
};

/// Compares the models in the folders of two runs, by the names that runs give them, byte by byte; of those that differ
/// says in which tensors and attributes; where their data lay does not count. Sorted by name.
std::vector<ModelComparison> compare_models(const std::filesystem::path& first, const std::filesystem::path& second);

}  // namespace detent::train
