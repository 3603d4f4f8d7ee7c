#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "detent/data/formats/read_options.h"
#include "detent/data/formats/table/table.h"
#include "detent/data/formats/targets.h"

namespace detent::data {

/// A column of a table as a model sees it: a number; or, of a one-hot column, for each of its categories 1 where the
/// field is that category, else 0. A field of no known category, such as an empty one, is 0 in all of them. Categories
/// are compared and ordered as classes are: targets.h.
struct FeatureColumn {
  std::size_t column = 0;
  bool is_one_hot = false;
  Classes categories = {};  ///< of one-hot columns

  std::int64_t width() const { return is_one_hot ? categories.size() : 1; }
};

/// How features of a one-hot column are called: "colour=red".
std::string feature_name(const std::string& column, const std::string& category);

/// The most categories of a column.
inline constexpr std::int64_t kMostCategories = 256;

/// The columns that are features, `one_hot` of them by the names of ReadOptions::one_hot: with the categories in
/// options.known_features, else those of the table's rows. Throws Error, naming the column, for one that has fewer than
/// 2 categories or more than kMostCategories, or that a model knows none of, and for features of one name.
std::vector<FeatureColumn> feature_columns(const Table& table, const std::vector<std::size_t>& columns,
                                           const ReadOptions& options);
/// Of all their features, in order.
std::vector<std::string> names_of(const Table& table, const std::vector<FeatureColumn>& features);
std::int64_t width_of(const std::vector<FeatureColumn>& features);

/// The columns that features of these names come from, in order.
std::vector<std::string> columns_behind(const std::vector<std::string>& feature_names, const ReadOptions& options);

/// Makes numbers of rows, and counts what it does not know.
class FeatureReader {
 public:
  /// REQUIRES: `features` outlive it; every number of a column that is not one-hot is one.
  explicit FeatureReader(const std::vector<FeatureColumn>& features) : features_(features) {}

  /// Appends the features of a row.
  void append(std::span<const std::string_view> fields, std::vector<float>& values);
  /// "3 rows have a colour that is not known (violet, ...): all 0", a text a column; none where all was known.
  std::vector<std::string> remarks(const Table& table) const;

 private:
  struct Unknown {
    std::int64_t rows = 0;
    std::string first = {};
  };
  const std::vector<FeatureColumn>& features_;
  std::map<std::size_t, Unknown> unknown_;  // by the feature's place
};

}  // namespace detent::data
