#include "detent/data/formats/table/table_dataset.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <system_error>
#include <utility>

#include "detent/core/utf8.h"
#include "detent/data/formats/finish.h"
#include "detent/data/formats/limits.h"
#include "detent/data/formats/table/column_roles.h"
#include "detent/data/formats/table/features.h"
#include "detent/data/formats/table/table.h"
#include "detent/data/formats/targets.h"

namespace detent::data {
namespace {

namespace fs = std::filesystem;

constexpr std::array kTableEndings{".csv", ".tsv", ".tab", ".csv.gz", ".tsv.gz", ".tab.gz", ".txt"};

std::optional<fs::path> find_part(const fs::path& folder, const std::string& part) {
  for (const char* const ending : kTableEndings) {
    std::error_code error;
    if (fs::path path = folder / (part + ending); fs::is_regular_file(path, error)) {
      return path;
    }
  }
  return std::nullopt;
}

// What the rows of a table say, by roles.
struct Rows {
  std::vector<float> features;
  std::vector<std::string> labels;  // of classes
  std::vector<float> targets;       // of values and flags
  std::vector<std::int64_t> lines;
  std::vector<Column> slices;
  std::string remarks;  // for the description
};

float target_of(const Table& table, std::string_view field, std::int64_t line, std::size_t column, TargetKind task) {
  const bool is_flag = task == TargetKind::kFlags;
  const std::optional<double> target = is_flag ? flag_of(field) : number_of(field);
  check(target.has_value(), table.place(line, column), ": expected ",
        is_flag ? "0 or 1, false or true, no or yes" : "a number", ", got \"", valid_utf8(trimmed(field)), '"');
  return static_cast<float>(target.value_or(0.0));
}

std::vector<Column> empty_slices(const Table& table, const std::vector<std::size_t>& columns) {
  std::vector<Column> slices;
  for (const std::size_t c : columns) {
    slices.push_back({.name = table.columns()[c].name});
  }
  return slices;
}

Rows read_rows(const Table& table, const ColumnRoles& roles, const std::vector<FeatureColumn>& features) {
  Rows rows;
  FeatureReader reader(features);
  rows.features.reserve(checked_bytes(table.file(), static_cast<std::uint64_t>(table.rows()),
                                      static_cast<std::uint64_t>(width_of(features)) * sizeof(float)) /
                        sizeof(float));
  rows.slices = empty_slices(table, roles.slices);
  table.for_each_row([&](std::int64_t, std::int64_t line, std::span<const std::string_view> fields) {
    rows.lines.push_back(line);
    reader.append(fields, rows.features);
    for (const std::size_t c : roles.labels) {
      if (roles.task == TargetKind::kClasses) {
        check(!trimmed(fields[c]).empty(), table.place(line, c), ": has no label; fill it or remove the row");
        rows.labels.emplace_back(fields[c]);
      } else {
        rows.targets.push_back(target_of(table, fields[c], line, c, roles.task));
      }
    }
    for (std::size_t s = 0; s < roles.slices.size(); ++s) {
      const std::string_view field = fields[roles.slices[s]];
      if (roles.is_number_slice[s]) {
        rows.slices[s].numbers.push_back(number_of(field).value_or(std::numeric_limits<double>::quiet_NaN()));
      } else {
        rows.slices[s].texts.push_back(valid_utf8(trimmed(field)));
      }
    }
  });
  for (const std::string& remark : reader.remarks(table)) {
    rows.remarks += ", " + remark;
  }
  return rows;
}

Dataset dataset_of(const Table& table, const ColumnRoles& roles, const std::vector<FeatureColumn>& features, Rows rows,
                   const Classes& classes) {
  const auto count = std::ssize(rows.lines);
  Dataset dataset;
  dataset.targets = roles.task;
  dataset.examples = Tensor::from(rows.features, {count, width_of(features)});
  dataset.feature_names = names_of(table, features);
  if (roles.task == TargetKind::kClasses) {
    dataset.labels = class_numbers(rows.labels, classes,
                                   [&](std::size_t row) { return table.place(rows.lines[row], roles.labels[0]); });
    dataset.classes = classes.size();
    dataset.class_names = classes.names();
  } else {
    dataset.classes = std::ssize(roles.labels);
    dataset.labels = Tensor::from(rows.targets, {count, dataset.classes});
    for (const std::size_t c : roles.labels) {
      dataset.class_names.push_back(table.columns()[c].name);
    }
  }
  dataset.columns = std::move(rows.slices);
  for (const std::int64_t line : rows.lines) {
    dataset.sources.push_back("line " + std::to_string(line));
  }
  return dataset;
}

// ", one-hot: colour (3 categories)"
std::string one_hot_note(const Table& table, const std::vector<FeatureColumn>& features) {
  std::string note;
  for (const FeatureColumn& feature : features) {
    if (feature.is_one_hot) {
      note += (note.empty() ? ", one-hot: " : ", ") + table.columns()[feature.column].name + " (" +
              std::to_string(feature.width()) + " categories)";
    }
  }
  return note;
}

}  // namespace

bool is_table(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    return find_part(path, "train").has_value();
  }
  const std::string name = path.filename().string();
  return fs::is_regular_file(path, error) &&
         std::ranges::any_of(kTableEndings, [&](const char* ending) { return name.ends_with(ending); });
}

DataSource read_table(const fs::path& path, const ReadOptions& options) {
  std::error_code error;
  const bool is_folder = fs::is_directory(path, error);
  const std::optional<fs::path> train_file = is_folder ? find_part(path, "train") : std::optional(path);
  const std::optional<fs::path> test_file = is_folder ? find_part(path, "test") : std::nullopt;
  check(train_file.has_value(), path.string(), ": has no train.csv");
  const Table train = Table::read(*train_file, options.header);
  const std::optional<Table> test = test_file ? std::optional(Table::read(*test_file, options.header)) : std::nullopt;
  const ColumnRoles roles = roles_of(train, test ? &*test : nullptr, options);
  const std::vector<FeatureColumn> features = feature_columns(train, roles.features, options);
  Rows rows = read_rows(train, roles, features);
  std::string remarks = rows.remarks;
  const Classes classes =
      roles.task == TargetKind::kClasses
          ? classes_for(rows.labels, options, train.file() + ": label \"" + train.columns()[roles.labels[0]].name + '"')
          : Classes();
  DataSource source;
  source.train = dataset_of(train, roles, features, std::move(rows), classes);
  if (test) {
    rows = read_rows(*test, roles, features);
    remarks += rows.remarks;
    source.test = dataset_of(*test, roles, features, std::move(rows), classes);
  }
  source = finished(std::move(source), path, options);
  source.description += one_hot_note(train, features) + roles.note + remarks;
  return source;
}

}  // namespace detent::data
