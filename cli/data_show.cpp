#include "detent/cli/data_show.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/core/text/shape_text.h"
#include "detent/data/formats/table/features.h"
#include "detent/data/source.h"
#include "detent/data/survey/survey.h"
#include "detent/recipes/recipe.h"
#include "detent/report/json_text.h"

namespace detent::cli {
namespace {

using nlohmann::json;

constexpr std::size_t kMostRows = 40;  // of a table for people

// What was read, and what was found in it.
struct ShownData {
  data::DataSource source;
  data::PartSurvey train;
  data::PartSurvey test;
  std::vector<std::string> remarks;
};

// [data] of a recipe, if one is named, with what --set says.
train::DataSettings settings_of(const Arguments& arguments) {
  constexpr std::string_view kAnyModel = "[model]\nlayers = [\"flatten\"]\n";
  const auto recipe = arguments.text("recipe");
  return recipe ? recipes::load_recipe(*recipe, arguments.texts("set")).data
                : recipes::parse_recipe(kAnyModel, "data show", arguments.texts("set")).data;
}

ShownData look_at(const Arguments& arguments) {
  const train::DataSettings settings = settings_of(arguments);
  data::SourceOptions options{.name = settings.name, .read = settings.read};
  if (arguments.positionals().size() > 1) {
    options.folder = arguments.positionals()[1];
  }
  ShownData shown;
  in_pool(arguments, [&] {
    shown.source = data::open_data(options);
    shown.train = data::survey(shown.source.train);
    shown.test = data::survey(shown.source.test);
    shown.remarks = data::remarks(shown.source, shown.train, shown.test, settings.normalize_columns);
  });
  return shown;
}

json to_json(const data::Summary& summary) {
  return {{"min", summary.min}, {"max", summary.max}, {"mean", summary.mean}, {"std", summary.std}};
}

json to_json(const std::vector<data::Summary>& summaries) {
  json all = json::array();
  for (const data::Summary& summary : summaries) {
    all.push_back(to_json(summary));
  }
  return all;
}

json part_json(const data::PartSurvey& part) {
  return {{"examples", part.examples},
          {"counts", part.counts},
          {"values", to_json(part.all)},
          {"features", to_json(part.features)},
          {"targets", to_json(part.targets)},
          {"constant", part.constant},
          {"blank", part.blank},
          {"repeated", part.repeated},
          {"contradicting", part.contradicting},
          {"outliers", part.outliers}};
}

json for_programs(const ShownData& shown) {
  const data::Dataset& train = shown.source.train;
  const Shape shape = train.example_shape();
  std::vector<std::string> names, columns;
  for (std::int64_t c = 0; c < train.classes; ++c) {
    names.push_back(train.class_name(c));
  }
  for (const data::Column& column : train.columns) {
    columns.push_back(column.name);
  }
  return {{"name", shown.source.name},
          {"description", shown.source.description},
          {"is_builtin", shown.source.is_builtin},
          {"targets", std::string(name_of(train.targets))},
          {"class_names", names},
          {"feature_names", train.feature_names},
          {"columns", columns},
          {"shape", std::vector<std::int64_t>(shape.extents().begin(), shape.extents().end())},
          {"dtype", std::string(detent::name_of(train.examples.dtype()))},
          {"train", part_json(shown.train)},
          {"test", part_json(shown.test)},
          {"remarks", shown.remarks}};
}

// A name in a column of `width` letters at most.
std::string cell(const std::string& name, std::size_t width) {
  return fmt::format("{:<{}}", name.size() <= width ? name : name.substr(0, width - 2) + "..", width);
}

std::string more_rows(std::size_t rows) {
  return rows > kMostRows ? fmt::format("    and {} more\n", rows - kMostRows) : std::string();
}

std::string targets_text(const ShownData& shown) {
  const data::Dataset& train = shown.source.train;
  const bool is_values = train.targets == data::TargetKind::kValues;
  std::string_view what = name_of(train.targets);
  if (train.classes == 1 && train.targets != data::TargetKind::kClasses) {
    what.remove_suffix(1);  // of "values", "flags"
  }
  std::string text = fmt::format("  {} {:<22}", train.classes, what);
  text += is_values ? "       min        max       mean        std  (train)\n" : "     train      test\n";
  const auto rows = static_cast<std::size_t>(train.classes);
  for (std::size_t c = 0; c < std::min(rows, kMostRows); ++c) {
    text += "    " + cell(train.class_name(static_cast<std::int64_t>(c)), 22);
    if (is_values) {
      const data::Summary& target = shown.train.targets[c];
      text += fmt::format("{:>10.4g} {:>10.4g} {:>10.4g} {:>10.4g}\n", target.min, target.max, target.mean, target.std);
    } else {
      text += fmt::format("{:>10}{:>10}\n", shown.train.counts[c], shown.test.counts[c]);
    }
  }
  return text + more_rows(rows);
}

std::string features_text(const ShownData& shown) {
  const data::Dataset& train = shown.source.train;
  if (train.feature_names.empty()) {
    return {};
  }
  std::string text = fmt::format("  {} features{:<15}       min        max       mean        std  (train)\n",
                                 train.feature_names.size(), "");
  for (std::size_t c = 0; c < std::min(train.feature_names.size(), kMostRows); ++c) {
    const data::Summary& feature = shown.train.features[c];
    text += fmt::format("    {}{:>10.4g} {:>10.4g} {:>10.4g} {:>10.4g}\n", cell(train.feature_names[c], 22),
                        feature.min, feature.max, feature.mean, feature.std);
  }
  return text + more_rows(train.feature_names.size());
}

// How a column of texts becomes inputs, where it can.
std::string one_hot_hint(const data::Column& column) {
  const std::set<std::string> different(column.texts.begin(), column.texts.end());
  return column.is_text() && std::ssize(different) >= 2 && std::ssize(different) <= data::kMostCategories
             ? fmt::format("; one_hot = [{}] under [data] makes inputs of its {} categories",
                           recipes::quoted(column.name), different.size())
             : std::string();
}

std::string for_people(const ShownData& shown) {
  const data::Dataset& train = shown.source.train;
  std::string text = shown.source.description + "\n";
  text += fmt::format("  {} {} {}, values from {:.4g} to {:.4g}, mean {:.4g}, std {:.4g}\n",
                      train.has_images() ? "images" : "examples", detent::name_of(train.examples.dtype()),
                      text_of(train.example_shape()), shown.train.all.min, shown.train.all.max, shown.train.all.mean,
                      shown.train.all.std);
  text += targets_text(shown) + features_text(shown);
  for (const data::Column& column : train.columns) {
    text += fmt::format("  beside them: {} ({}){}\n", column.name, column.is_text() ? "texts" : "numbers",
                        one_hot_hint(column));
  }
  text += shown.remarks.empty() ? "  nothing looks wrong\n" : "  look at\n";
  for (const std::string& remark : shown.remarks) {
    text += "    " + remark + "\n";
  }
  return text;
}

}  // namespace

int show_data(const Arguments& arguments) {
  const ShownData shown = look_at(arguments);
  print(arguments.has("json") ? report::json_text(for_programs(shown)) : for_people(shown));
  return 0;
}

}  // namespace detent::cli
