#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "detent/core/tensor.h"
#include "detent/data/formats/read_options.h"

namespace detent::data {

/// Examples of which nobody says what they are.
struct Unlabelled {
  Tensor examples;                        ///< as Dataset::examples
  std::vector<std::string> sources;       ///< where each came from: a file, a line
  std::vector<std::string> remarks = {};  ///< what a person should know of them: categories that are not known
};

/// What lies at `path`, as `options` says and as training data were read: one picture, or all in a folder; the rows of
/// a table; the array x (or images, data, features) of an archive, or all of one .npy file. Of a table it takes the
/// columns that are called as `feature_names`, and for the categories of one-hot columns these columns; those of a
/// table without names in their order; where there are no names, all columns but those that `options` names as label,
/// slices or to be ignored. Throws Error as the readers of data sets do.
Unlabelled read_unlabelled(const std::filesystem::path& path, const ReadOptions& options = {},
                           const std::vector<std::string>& feature_names = {});

}  // namespace detent::data
