#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "detent/data/formats/read_options.h"
#include "detent/data/loader.h"
#include "detent/io/tensor_file.h"

namespace detent::train {

/// What a model file says beside its model.
using Attributes = std::map<std::string, TensorFile::Attribute>;

/// What a model knows of the data that it was trained on, so that others are read, normalized and named as they were.
/// As attributes of its file:
///
///   dataset                                 text, what they are called
///   normalization_mean, normalization_std   reals
///   normalization_columns                   {"means": [...], "stds": [...]}, where each column has its own
///   class_names                             ["cat", "dog"], of the classes or targets; none: "0", "1", ...
///   feature_names                           ["width", "colour=red", "colour=green"], where features have names; the
///                                           categories of one-hot columns stand in them
///   targets                                 "values" or "flags"; none: classes
///   data_options                            {"label": ["species"], ...}: data::ReadOptions, those that are not
///   defaults
///
/// Objects and arrays are JSON texts. What has no value is left out.
struct TrainedOn {
  std::optional<std::string> dataset = {};
  data::Normalization normalization = {};
  data::TargetKind targets = data::TargetKind::kClasses;
  std::vector<std::string> class_names = {};
  std::vector<std::string> feature_names = {};
  data::ReadOptions read = {};  ///< with class_names and known_features where there are some, without a name

  bool operator==(const TrainedOn&) const = default;
};

Attributes to_attributes(const TrainedOn& trained);

/// The inverse; others among the attributes do not count. Throws Error for a model without a normalization, and for
/// attributes that are damaged.
TrainedOn trained_on(const Attributes& attributes);

/// What class or target `number` is called: "cat", or "7" where they have no names.
std::string class_name(const TrainedOn& trained, std::int64_t number);

}  // namespace detent::train
