#pragma once

#include <filesystem>

#include "detent/data/dataset.h"
#include "detent/data/formats/read_options.h"

/// Data sets in tables: one file, .csv, .tsv, .tab or .txt, plain or .gz, or a folder with train.csv and, if it has
/// one, test.csv. A row is an example.
///
///   label    the columns of ReadOptions::label; of one column classes, whose names are its fields
///   slices   kept beside the features, as is every column of texts that nothing else is said of
///   ignore   passed over
///   one_hot  features, one for each category that the training part has (features.h)
///   others   the features, f32 [N, F], in the order of their columns
///
/// Where a model's features are known (ReadOptions::known_features) and the table names its columns, the features are
/// the columns of those names in the model's order, and all others are kept beside them.
///
/// Other texts become no features: a column in which most fields are numbers and one is not is refused, as is a feature
/// without a value, both with line and column. What rows have no known category is told in the description.
namespace detent::data {

/// Whether the file's ending says that it is a table, or the folder has a train.csv or the like.
bool is_table(const std::filesystem::path& path);

/// Throws Error, naming the file and, where it is about a field, line and column: see table.h; a column that is named
/// and not there; labels that are missing, that no training example has, or that do not suit the task.
DataSource read_table(const std::filesystem::path& path, const ReadOptions& options = {});

}  // namespace detent::data
