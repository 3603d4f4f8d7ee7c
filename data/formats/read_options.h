#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "detent/data/dataset.h"

namespace detent::data {

/// How data are understood that do not say it themselves: the keys of a recipe's [data].
struct ReadOptions {
  std::string name = {};  ///< what the data are called; empty: as they call themselves, or as their file or folder is

  /// Of tables and arrays, the columns that are the targets: by name, or by number from 0, -1 being the last. None: the
  /// one that is called label, class, target or y.
  std::vector<std::string> label = {};
  /// Not said: classes for one label column, for more of them flags if all are 0 or 1, else values.
  std::optional<TargetKind> task = {};
  std::vector<std::string> slices = {};  ///< columns that are kept beside the features (Dataset::columns)
  std::vector<std::string> ignore = {};  ///< columns that are passed over
  /// Columns of tables of which each different field becomes an input of its own, 0 or 1: by name.
  std::vector<std::string> one_hot = {};
  std::optional<bool> header = {};  ///< whether a table's first line names its columns; not said: if none is a number

  std::int64_t height = 0, width = 0;  ///< of images, which are resized to it; 0: all have one size
  std::int64_t channels = 0;           ///< 1: grey, 3: colour, to which images are turned; 0: as they are

  double test_share = 0.2;      ///< of the examples, where the data have no test part of their own; in (0, 1)
  std::int64_t split_seed = 1;  ///< of that split, of the validation part and of the order of the examples; at least 0

  /// The classes that a model knows, to which labels are to belong. None: those of the training part.
  std::vector<std::string> class_names = {};
  /// The features that a model knows, among them the categories of one-hot columns. None: those of the training part.
  std::vector<std::string> known_features = {};

  bool operator==(const ReadOptions&) const = default;
};

}  // namespace detent::data
