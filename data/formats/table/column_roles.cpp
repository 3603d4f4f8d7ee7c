#include "detent/data/formats/table/column_roles.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "detent/core/error.h"
#include "detent/core/text/nearest.h"
#include "detent/data/formats/table/features.h"

namespace detent::data {
namespace {

constexpr std::array<std::string_view, 4> kLabelNames{"label", "class", "target", "y"};
constexpr std::size_t kListed = 12;

std::string list_of(const Table& table) {
  const std::vector<ColumnFacts>& columns = table.columns();
  std::string text;
  for (std::size_t c = 0; c < std::min(columns.size(), kListed); ++c) {
    text += (c == 0 ? "" : ", ") + columns[c].name;
  }
  return columns.size() > kListed ? text + " and " + std::to_string(columns.size() - kListed) + " more" : text;
}

bool is_label_name(std::string_view name) {
  return std::ranges::any_of(kLabelNames, [&](std::string_view known) {
    return std::ranges::equal(name, known, [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
  });
}

std::vector<std::size_t> labels_of(const Table& table, const ReadOptions& options) {
  std::vector<std::size_t> labels;
  for (const std::string& wanted : options.label) {
    labels.push_back(column_of(table, wanted, "label"));
  }
  if (labels.empty()) {
    for (std::size_t c = 0; c < table.columns().size(); ++c) {
      if (is_label_name(table.columns()[c].name)) {
        labels.push_back(c);
      }
    }
    check(labels.size() == 1, table.file(), ": which column is the label? ",
          labels.empty() ? "none is called label, class, target or y" : "more than one is called so",
          "; write label = \"NAME\", or its number from 0 (-1: the last), under [data], or --set data.label=NAME; "
          "columns are: ",
          list_of(table));
  }
  return labels;
}

std::vector<std::size_t> columns_of(const Table& table, const std::vector<std::string>& wanted,
                                    const std::string& key) {
  std::vector<std::size_t> columns;
  std::ranges::transform(wanted, std::back_inserter(columns),
                         [&](const std::string& name) { return column_of(table, name, key); });
  return columns;
}

TargetKind task_of(const Table& table, const std::vector<std::size_t>& labels, const ReadOptions& options) {
  const auto are_flags = [&] {
    return std::ranges::all_of(labels, [&](std::size_t c) {
      const ColumnFacts& facts = table.columns()[c];
      return facts.is_number() && facts.is_whole && facts.min >= 0.0 && facts.max <= 1.0;
    });
  };
  const TargetKind task = options.task.value_or(labels.size() == 1 ? TargetKind::kClasses
                                                : are_flags()      ? TargetKind::kFlags
                                                                   : TargetKind::kValues);
  check(task != TargetKind::kClasses || labels.size() == 1, table.file(),
        ": label: expected one column for task = ", "\"classes\", got ", labels.size(),
        "; write task = \"values\" or \"flags\" under [data]");
  const ColumnFacts& first = table.columns()[labels[0]];
  check(task != TargetKind::kClasses || !first.is_number() || first.is_whole, table.file(), ": label \"", first.name,
        "\" holds real numbers from ", first.min, " to ", first.max,
        ", which are no classes; write task = \"values\" under [data]");
  return task;
}

// Columns that are named, not numbered: a model finds them again in other tables.
std::vector<std::size_t> one_hot_of(const Table& table, const ReadOptions& options) {
  const std::vector<std::size_t> columns = columns_of(table, options.one_hot, "one_hot");
  for (std::size_t i = 0; i < columns.size(); ++i) {
    check(table.columns()[columns[i]].name == options.one_hot[i], table.file(), ": one_hot: expected a column's name, ",
          "got \"", options.one_hot[i], "\"; columns are: ", list_of(table));
  }
  return columns;
}

bool is_mostly_texts(const ColumnFacts& facts) { return facts.texts > 0 && facts.texts >= facts.numbers; }

// Tables may have thousands of columns, and models as many features.
using Places = std::unordered_map<std::string_view, std::size_t>;

Places places_of(const Table& table) {
  Places places;
  for (std::size_t c = 0; c < table.columns().size(); ++c) {
    places.emplace(table.columns()[c].name, c);
  }
  return places;
}

// None where no model is known, or the table's columns have no names to find its features by: they are then counted.
std::optional<std::vector<std::size_t>> features_of_model(const Table& table, const Places& places,
                                                          const ReadOptions& options) {
  const std::vector<std::string> names = columns_behind(options.known_features, options);
  const auto is_there = [&](const std::string& name) { return places.contains(name); };
  if (names.empty() || (!table.has_header() && !std::ranges::all_of(names, is_there))) {
    return std::nullopt;
  }
  return columns_of_model(table, names);
}

void add_to_list(std::string& list, const std::string& begin, const std::string& name) {
  list += (list.empty() ? begin : ", ") + name;
}

}  // namespace

std::vector<std::size_t> columns_of_model(const Table& table, const std::vector<std::string>& names) {
  const Places places = places_of(table);
  std::vector<std::size_t> columns;
  for (const std::string& name : names) {
    const auto place = places.find(name);
    check(place != places.end(), table.file(), ": has no column \"", name,
          "\", which the model was trained on; columns are: ", list_of(table));
    columns.push_back(place->second);
  }
  return columns;
}

void check_feature(const Table& table, std::size_t c) {
  const ColumnFacts& facts = table.columns()[c];
  if (facts.texts > 0) {
    fail(table.place(facts.first_text, c), ": expected a number, ",
         facts.numbers > 0 ? "as in " + std::to_string(facts.numbers) + " other rows, " : std::string(), "got \"",
         facts.example, "\"; mend it, or name the column in slices, ignore or one_hot under [data]");
  }
  if (facts.missing > 0) {
    fail(table.place(facts.first_missing, c), ": has no value, as in ", facts.missing, " of ", table.rows(),
         " rows; fill them, or name the column in slices or ignore under [data]");
  }
}

std::size_t column_of(const Table& table, const std::string& wanted, const std::string& key) {
  const auto& columns = table.columns();
  if (const auto named = std::ranges::find(columns, wanted, &ColumnFacts::name); named != columns.end()) {
    return static_cast<std::size_t>(named - columns.begin());
  }
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(wanted.data(), wanted.data() + wanted.size(), number);
  const bool is_number = error == std::errc() && end == wanted.data() + wanted.size() && !wanted.empty();
  const std::int64_t count = std::ssize(columns);
  if (!is_number || number < -count || number >= count) {
    std::vector<std::string> names;
    std::ranges::transform(columns, std::back_inserter(names), &ColumnFacts::name);
    fail(table.file(), ": ", key, ": has no column \"", wanted, "\"", did_you_mean(wanted, names, ";"),
         " columns are: ", list_of(table));
  }
  return static_cast<std::size_t>(number < 0 ? number + count : number);
}

ColumnRoles roles_of(const Table& train, const Table* test, const ReadOptions& options) {
  check(test == nullptr ||
            std::ranges::equal(train.columns(), test->columns(), {}, &ColumnFacts::name, &ColumnFacts::name),
        test == nullptr ? std::string() : test->file(), ": has other columns than ", train.file(), ": ",
        test == nullptr ? std::string() : list_of(*test), " instead of ", list_of(train));
  ColumnRoles roles;
  roles.labels = labels_of(train, options);
  roles.task = task_of(train, roles.labels, options);
  const std::vector<std::size_t> slices = columns_of(train, options.slices, "slices");
  const Places places = places_of(train);
  std::vector<std::string> ignore = options.ignore;
  if (!options.known_features.empty()) {  // what a model was not trained on may be gone
    std::erase_if(ignore, [&](const std::string& name) { return !places.contains(name); });
  }
  const std::vector<std::size_t> ignored = columns_of(train, ignore, "ignore");
  const std::vector<std::size_t> one_hot = one_hot_of(train, options);
  const std::optional<std::vector<std::size_t>> known = features_of_model(train, places, options);
  std::vector<bool> knows(train.columns().size());
  for (const std::size_t c : known.value_or(std::vector<std::size_t>())) {
    knows[c] = true;
  }
  std::string texts, unknown;
  for (std::size_t c = 0; c < train.columns().size(); ++c) {
    const ColumnFacts& facts = train.columns()[c];
    const auto is_one_of = [c](const std::vector<std::size_t>& columns) { return std::ranges::count(columns, c) > 0; };
    const bool is_label = is_one_of(roles.labels), is_slice = is_one_of(slices), is_ignored = is_one_of(ignored);
    const bool is_one_hot = is_one_of(one_hot), is_known = knows[c];
    check(!is_label || (!is_slice && !is_ignored && !is_one_hot), train.file(), ": column \"", facts.name,
          "\" is the label, and in slices, ignore or one_hot too; remove one");
    check(!is_one_hot || (!is_slice && !is_ignored), train.file(), ": column \"", facts.name,
          "\" is in one_hot, and in slices or ignore too; remove one");
    check(!is_known || (!is_label && !is_slice && !is_ignored), train.file(), ": column \"", facts.name,
          "\" is what the model was trained on; it cannot be the label, or in slices or ignore");
    check(!known || is_known || !is_one_hot, train.file(), ": one_hot: the model knows no categories of column \"",
          facts.name, '"');
    if (is_label || is_ignored) {
      continue;
    }
    if (is_slice || (known ? !is_known : !is_one_hot && is_mostly_texts(facts))) {
      roles.slices.push_back(c);
      roles.is_number_slice.push_back(facts.is_number() && (test == nullptr || test->columns()[c].texts == 0));
      if (!is_slice) {
        is_mostly_texts(facts) ? add_to_list(texts, ", texts beside the features: ", facts.name)
                               : add_to_list(unknown, ", which the model does not know: ", facts.name);
      }
      continue;
    }
    for (const Table* const table : {&train, test}) {
      if (table != nullptr && !is_one_hot) {
        check_feature(*table, c);
      }
    }
    roles.features.push_back(c);
  }
  roles.note = texts + unknown;
  roles.features = known.value_or(roles.features);
  check(!roles.features.empty(), train.file(),
        ": has no column of numbers beside the label, and none in one_hot; columns are: ", list_of(train));
  return roles;
}

}  // namespace detent::data
