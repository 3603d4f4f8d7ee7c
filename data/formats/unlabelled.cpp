#include "detent/data/formats/unlabelled.h"

#include <algorithm>
#include <system_error>

#include "detent/core/error.h"
#include "detent/core/utf8.h"
#include "detent/data/formats/finish.h"
#include "detent/data/formats/images/image_file.h"
#include "detent/data/formats/images/image_folder.h"
#include "detent/data/formats/numpy/arrays.h"
#include "detent/data/formats/table/column_roles.h"
#include "detent/data/formats/table/features.h"
#include "detent/data/formats/table/table_dataset.h"

namespace detent::data {
namespace {

namespace fs = std::filesystem;

std::vector<std::size_t> wanted_columns(const Table& table, const ReadOptions& options,
                                        const std::vector<std::string>& names) {
  std::vector<std::size_t> columns;
  if (!names.empty() && !table.has_header() && table.columns().size() == names.size()) {
    for (std::size_t c = 0; c < names.size(); ++c) {
      columns.push_back(c);
    }
    return columns;
  }
  if (!names.empty()) {
    return columns_of_model(table, names);
  }
  for (std::size_t c = 0; c < table.columns().size(); ++c) {
    const auto is_named = [&](const std::vector<std::string>& named) {
      return std::ranges::count(named, table.columns()[c].name) > 0;
    };
    if (!is_named(options.label) && !is_named(options.slices) && !is_named(options.ignore)) {
      columns.push_back(c);
    }
  }
  return columns;
}

Unlabelled read_rows(const fs::path& path, const ReadOptions& options, const std::vector<std::string>& names) {
  const Table table = Table::read(path, options.header);
  ReadOptions as_known = options;
  as_known.known_features = names;
  const std::vector<std::string> behind = columns_behind(names, options);
  const std::vector<std::size_t> columns = wanted_columns(table, options, behind);
  for (std::size_t i = 0; i < behind.size(); ++i) {
    const bool is_one_hot = std::ranges::count(options.one_hot, behind[i]) > 0;
    check(!is_one_hot || table.columns()[columns[i]].name == behind[i], table.file(), ": has no line that names its ",
          "columns, and the model has categories of column \"", behind[i], "\"; write that line first");
  }
  const std::vector<FeatureColumn> features = feature_columns(table, columns, as_known);
  for (const FeatureColumn& feature : features) {
    if (!feature.is_one_hot) {
      check_feature(table, feature.column);
    }
  }
  check(!columns.empty(), path.string(), ": has no columns of features");
  Unlabelled rows;
  FeatureReader reader(features);
  std::vector<float> values;
  table.for_each_row([&](std::int64_t, std::int64_t line, std::span<const std::string_view> fields) {
    rows.sources.push_back("line " + std::to_string(line));
    reader.append(fields, values);
  });
  rows.examples = Tensor::from(values, {table.rows(), width_of(features)});
  rows.remarks = reader.remarks(table);
  return rows;
}

Unlabelled read_pictures(const fs::path& path, const ReadOptions& options) {
  const std::vector<fs::path> files = image_files(path);
  Unlabelled pictures{.examples = read_images(files, options), .sources = {}};
  for (const fs::path& file : files) {
    pictures.sources.push_back(valid_utf8(file.string()));
  }
  return pictures;
}

}  // namespace

Unlabelled read_unlabelled(const fs::path& path, const ReadOptions& options,
                           const std::vector<std::string>& feature_names) {
  std::error_code error;
  check(fs::exists(path, error), path.string(), ": no such file or folder");
  const bool is_folder = fs::is_directory(path, error);
  if (is_folder ? is_image_folder(path) : is_image_name(path)) {
    return read_pictures(path, options);
  }
  check(!is_folder && (is_arrays(path) || is_table(path)), path.string(),
        ": expected a picture .png or .jpg, a folder of them, a table .csv or .tsv, or an array .npz or .npy");
  Unlabelled read = is_arrays(path) ? Unlabelled{read_array(path), {}, {}} : read_rows(path, options, feature_names);
  read.examples = images_as_asked(read.examples, options, path.string());
  for (std::int64_t i = std::ssize(read.sources); i < read.examples.shape()[0]; ++i) {
    read.sources.push_back("example " + std::to_string(i));
  }
  return read;
}

}  // namespace detent::data
