#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace detent::evaluation {

/// What a run was made from: with it, the run can be made again, and gives the same models.
struct RunRecord {
  std::string recipe_text = {};                      ///< empty where the settings did not come from a recipe
  std::string recipe_file = {};                      ///< its name for messages, and where paths in it start
  std::vector<std::string> overrides = {};           ///< "train.epochs=2", in order
  std::string command = {};                          ///< as it was typed, in `folder`; empty without one
  std::string folder = {};                           ///< the current folder
  std::string data = {};                             ///< the folder or file of --data; empty: none was named
  std::string data_path = {};                        ///< where data that were named lay, in full
  std::map<std::string, std::string> versions = {};  ///< of the program, the compiler and the libraries
  std::string processor = {};                        ///< its class: core/processor/units.h
  /// SHA-256 of the elements of examples and labels in use: training, validation and test part, one after the other.
  std::string data_sha256 = {};

  bool has_recipe() const { return !recipe_text.empty() || !overrides.empty(); }
  bool operator==(const RunRecord&) const = default;
};

}  // namespace detent::evaluation
