#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "detent/data/dataset.h"

/// Parts of a test set that an evaluation looks at one by one, because an accuracy of the whole can hold while a part
/// breaks.
namespace detent::evaluation {

/// A part of a test set, by the numbers of its examples, in order.
struct Slice {
  std::string name = {};
  std::vector<std::int64_t> examples = {};
};

/// A slice that a user defined: the examples for which all conditions hold.
struct SliceRule {
  enum class Relation : std::uint8_t { Less, LessOrEqual, Greater, GreaterOrEqual, Equal, NotEqual };
  struct Condition {
    std::string subject = {};  ///< "class", an image measure (image_measures.h), a column of the data or a feature
    Relation relation = Relation::Equal;
    std::string value = {};  ///< a number; "10 %", the 10th percentile of the subject; or a text
  };
  std::string name = {};
  std::vector<Condition> conditions = {};
};

/// A rule in words: "stroke_thickness < 2", "brightness >= 90 %", "class = 7 and camera != north". Relations: < <= > >=
/// = !=. A class is meant by its name. Throws Error, with `name` in its text, for what is none.
SliceRule parse_slice(const std::string& name, std::string_view text);

/// The subjects of `rules` that are columns of the data, or features: neither "class" nor an image measure.
std::vector<std::string> columns_of(std::span<const SliceRule> rules);

/// The slices of a test set: those of `rules`; then each class; each image measure, column of numbers and feature cut
/// at its quartiles, or at its values where there are at most kMostValues; each text of a column, the kMostTexts most
/// frequent. Features are those with names, one-hot columns by their texts; of more than kMostFeatures there are no
/// slices but by rules. What has no example is left out. Where a number is missing (NaN), no condition but != holds.
/// Throws Error for a rule about something that the data do not have, naming what they have.
std::vector<Slice> slices_of(const data::Dataset& dataset, std::span<const SliceRule> rules = {});

inline constexpr std::size_t kMostValues = 10;
inline constexpr std::size_t kMostTexts = 20;
inline constexpr std::size_t kMostFeatures = 32;

}  // namespace detent::evaluation
