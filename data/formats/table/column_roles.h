#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "detent/data/formats/read_options.h"
#include "detent/data/formats/table/table.h"

namespace detent::data {

/// What each column of a table is for, by its number.
struct ColumnRoles {
  TargetKind task = TargetKind::kClasses;
  std::vector<std::size_t> labels;
  std::vector<std::size_t> features;  ///< numbers, and the columns of ReadOptions::one_hot; a model's in its order
  std::vector<std::size_t> slices;
  std::vector<bool> is_number_slice;  ///< of each of `slices`
  std::string note;                   ///< for the description: ", columns of texts beside the features: name"
};

/// As `options` says and the columns' facts allow (table_dataset.h); `test`, which may be null, must have the same
/// columns. Where a model's features are known and columns have names, its features are the columns of these names,
/// wherever they stand, and every other column is kept beside them. Throws Error that names the column and how to mend
/// it.
ColumnRoles roles_of(const Table& train, const Table* test, const ReadOptions& options);

/// The columns of these names, in their order, all of which a model was trained on. Throws Error for one that is not
/// there.
std::vector<std::size_t> columns_of_model(const Table& table, const std::vector<std::string>& names);

/// Throws Error, naming line and column, unless column `c` has a number in every row.
void check_feature(const Table& table, std::size_t c);

/// Which column `wanted` is: its name, or else its number from 0, -1 being the last. Throws Error that lists the
/// columns.
std::size_t column_of(const Table& table, const std::string& wanted, const std::string& key);

}  // namespace detent::data
