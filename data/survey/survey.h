#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "detent/data/dataset.h"

namespace detent::data {

/// Of numbers: of a feature, a target, or all there are. std is sqrt(sum (x - mean)^2 / N).
struct Summary {
  double min = 0.0, max = 0.0, mean = 0.0, std = 0.0;
};

/// What examples of a part are like, and which of them look wrong. Bytes count as 0 to 255.
struct PartSurvey {
  std::int64_t examples = 0;
  std::vector<std::int64_t> counts = {};  ///< of classes: examples of each; of flags: for how many each is set
  Summary all = {};
  std::vector<Summary> features = {};       ///< of rows of features, each
  std::vector<Summary> targets = {};        ///< of values, each
  std::int64_t elements = 0;                ///< of an example: pixels times channels, features
  std::vector<std::int64_t> constant = {};  ///< elements that are the same in all examples
  std::vector<std::int64_t> blank = {};     ///< examples of more than one element that are all one value
  std::vector<std::pair<std::int64_t, std::int64_t>> repeated = {};  ///< an example, and the first one that it equals
  std::int64_t contradicting = 0;                                    ///< of those, how many have other targets
  std::vector<std::int64_t> outliers = {};  ///< examples of which a value is more than 6 std from the mean
};

PartSurvey survey(const Dataset& dataset);

/// How many examples of `part` are those of `other`, too.
std::int64_t count_shared(const Dataset& part, const Dataset& other);

/// What a person should look at before anything is trained, a line each: classes with few examples or none, blank,
/// repeated and contradicting examples, outliers, test examples that are training examples, constant columns, columns
/// of very unequal ranges unless each is normalized. Examples are named by their sources where these are known.
std::vector<std::string> remarks(const DataSource& source, const PartSurvey& train, const PartSurvey& test,
                                 bool are_normalized = false);

}  // namespace detent::data
