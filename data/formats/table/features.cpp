#include "detent/data/formats/table/features.h"

#include <algorithm>
#include <set>

#include "detent/core/error.h"
#include "detent/core/utf8.h"

namespace detent::data {
namespace {

bool is_one_hot(const std::string& column, const ReadOptions& options) {
  return std::ranges::count(options.one_hot, column) > 0;
}

// Those of a column that a model knows.
std::vector<std::string> known_categories(const std::string& column, const ReadOptions& options) {
  std::vector<std::string> categories;
  for (const std::string& name : options.known_features) {
    if (const std::string begin = feature_name(column, ""); name.starts_with(begin)) {
      categories.push_back(name.substr(begin.size()));
    }
  }
  return categories;
}

std::vector<std::string> categories_in(const Table& table, std::size_t column) {
  std::set<std::string> seen;
  table.for_each_row([&](std::int64_t, std::int64_t, std::span<const std::string_view> fields) {
    if (!is_missing(fields[column])) {
      seen.insert(valid_utf8(trimmed(fields[column])));
    }
    check(std::ssize(seen) <= 2 * kMostCategories, table.file(), ": one_hot: column \"", table.columns()[column].name,
          "\" has more than ", kMostCategories, " different values; name it in slices or ignore under [data]");
  });
  return {seen.begin(), seen.end()};
}

Classes categories_of(const Table& table, std::size_t column, const ReadOptions& options) {
  const std::string& name = table.columns()[column].name;
  if (!options.known_features.empty()) {
    std::vector<std::string> known = known_categories(name, options);
    check(!known.empty(), table.file(), ": one_hot: the model knows no categories of column \"", name, '"');
    return Classes::named(std::move(known));
  }
  Classes categories = Classes::of(categories_in(table, column));
  check(categories.size() >= 2 && categories.size() <= kMostCategories, table.file(), ": one_hot: expected 2 to ",
        kMostCategories, " different values in column \"", name, "\", got ", categories.size(),
        "; name it in slices or ignore under [data]");
  return categories;
}

}  // namespace

std::string feature_name(const std::string& column, const std::string& category) { return column + "=" + category; }

std::vector<FeatureColumn> feature_columns(const Table& table, const std::vector<std::size_t>& columns,
                                           const ReadOptions& options) {
  std::vector<FeatureColumn> features;
  for (const std::size_t c : columns) {
    FeatureColumn feature{.column = c, .is_one_hot = is_one_hot(table.columns()[c].name, options)};
    if (feature.is_one_hot) {
      feature.categories = categories_of(table, c, options);
    }
    features.push_back(std::move(feature));
  }
  if (!options.one_hot.empty()) {
    std::set<std::string> seen;
    for (const std::string& name : names_of(table, features)) {
      check(seen.insert(name).second, table.file(), ": one_hot: two features would be called \"", name,
            "\"; call a column otherwise");
    }
  }
  return features;
}

std::vector<std::string> names_of(const Table& table, const std::vector<FeatureColumn>& features) {
  std::vector<std::string> names;
  for (const FeatureColumn& feature : features) {
    const std::string& column = table.columns()[feature.column].name;
    if (!feature.is_one_hot) {
      names.push_back(column);
    }
    for (const std::string& category : feature.categories.names()) {
      names.push_back(feature_name(column, category));
    }
  }
  return names;
}

std::int64_t width_of(const std::vector<FeatureColumn>& features) {
  std::int64_t width = 0;
  for (const FeatureColumn& feature : features) {
    width += feature.width();
  }
  return width;
}

std::vector<std::string> columns_behind(const std::vector<std::string>& feature_names, const ReadOptions& options) {
  std::vector<std::string> columns;
  for (const std::string& name : feature_names) {
    const auto column = std::ranges::find_if(
        options.one_hot, [&](const std::string& one_hot) { return name.starts_with(feature_name(one_hot, "")); });
    const std::string& behind = column == options.one_hot.end() ? name : *column;
    if (columns.empty() || columns.back() != behind) {
      columns.push_back(behind);
    }
  }
  return columns;
}

void FeatureReader::append(std::span<const std::string_view> fields, std::vector<float>& values) {
  for (std::size_t i = 0; i < features_.size(); ++i) {
    const FeatureColumn& feature = features_[i];
    const std::string_view field = fields[feature.column];
    if (!feature.is_one_hot) {
      values.push_back(static_cast<float>(*number_of(field)));
      continue;
    }
    const std::string text = valid_utf8(trimmed(field));
    const std::optional<std::int32_t> category = is_missing(field) ? std::nullopt : feature.categories.find(text);
    for (std::int32_t k = 0; k < static_cast<std::int32_t>(feature.categories.size()); ++k) {
      values.push_back(category == k ? 1.0F : 0.0F);
    }
    if (!category && unknown_[i].rows++ == 0) {
      unknown_[i].first = text;
    }
  }
}

std::vector<std::string> FeatureReader::remarks(const Table& table) const {
  std::vector<std::string> remarks;
  for (const auto& [place, unknown] : unknown_) {
    std::string text = std::to_string(unknown.rows) + (unknown.rows == 1 ? " row has" : " rows have") +
                       " no known category of \"" + table.columns()[features_[place].column].name + "\" (the first: \"";
    text += unknown.first + "\"): all its inputs are 0";
    remarks.push_back(std::move(text));
  }
  return remarks;
}

}  // namespace detent::data
