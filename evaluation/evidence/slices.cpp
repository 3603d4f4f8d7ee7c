#include "detent/evaluation/evidence/slices.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "detent/core/error.h"
#include "detent/core/text/list_text.h"
#include "detent/core/text/nearest.h"
#include "detent/evaluation/evidence/image_measures.h"

namespace detent::evaluation {
namespace {

using Relation = SliceRule::Relation;
using Condition = SliceRule::Condition;

/// Those of two letters first: "<=" begins with "<".
constexpr std::array<std::pair<std::string_view, Relation>, 6> kRelations{{{"<=", Relation::LessOrEqual},
                                                                           {">=", Relation::GreaterOrEqual},
                                                                           {"!=", Relation::NotEqual},
                                                                           {"<", Relation::Less},
                                                                           {">", Relation::Greater},
                                                                           {"=", Relation::Equal}}};
constexpr std::string_view kClass = "class";
constexpr std::string_view kAnd = " and ";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(' ');
  return first == std::string_view::npos ? std::string_view()
                                         : text.substr(first, text.find_last_not_of(' ') - first + 1);
}

std::optional<double> number_of(std::string_view text) {
  double number = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && std::isfinite(number) ? std::optional(number)
                                                                                           : std::nullopt;
}

Condition parse_condition(const std::string& name, std::string_view text) {
  const std::size_t at = text.find_first_of("<>=!");
  for (const auto& [word, relation] : kRelations) {
    if (at != std::string_view::npos && text.substr(at).starts_with(word)) {
      const std::string_view subject = trimmed(text.substr(0, at));
      const std::string_view value = trimmed(text.substr(at + word.size()));
      if (!subject.empty() && !value.empty()) {
        return {std::string(subject), relation, std::string(value)};
      }
    }
  }
  fail("slice '", name, "': expected a subject, one of < <= > >= = !=, and a value, got '", text,
       "'; write for example \"stroke_thickness < 2\"");
}

template <typename T>
bool holds(Relation relation, const T& a, const T& b) {
  switch (relation) {
    case Relation::Less:
      return a < b;
    case Relation::LessOrEqual:
      return a <= b;
    case Relation::Greater:
      return a > b;
    case Relation::GreaterOrEqual:
      return a >= b;
    case Relation::Equal:
      return a == b;
    case Relation::NotEqual:
      break;
  }
  return a != b;
}

std::vector<double> sorted_finite(const std::vector<double>& numbers) {
  std::vector<double> sorted;
  std::ranges::copy_if(numbers, std::back_inserter(sorted), [](double x) { return std::isfinite(x); });
  std::ranges::sort(sorted);
  return sorted;
}

/// The number below which `share` of the sorted ones lie. REQUIRES: at least one.
double quantile(const std::vector<double>& sorted, double share) {
  const auto place = static_cast<std::size_t>(share * static_cast<double>(sorted.size()));
  return sorted[std::min(place, sorted.size() - 1)];
}

bool has_column(const std::vector<data::Column>& columns, std::string_view name) {
  return std::ranges::find(columns, name, &data::Column::name) != columns.end();
}

/// A feature, or the neighbouring ones that a one-hot column became: "colour=red", "colour=blue".
struct Feature {
  std::string name = {};
  std::size_t first = 0, count = 1;
  bool is_one_hot = false;
};

std::vector<Feature> features_of(const std::vector<std::string>& names) {
  std::vector<Feature> features;
  for (std::size_t f = 0; f < names.size(); ++f) {
    const std::size_t sign = names[f].find('=');
    const bool is_category = sign != std::string::npos && sign > 0;
    const std::string name = names[f].substr(0, sign);
    if (is_category && !features.empty() && features.back().is_one_hot && features.back().name == name) {
      ++features.back().count;
    } else {
      features.push_back({.name = is_category ? name : names[f], .first = f, .is_one_hot = is_category});
    }
  }
  for (Feature& feature : features) {
    if (feature.count == 1) {  // a category has others: this is what a column is called
      feature = {.name = names[feature.first], .first = feature.first};
    }
  }
  return features;
}

/// Numbers, or of a one-hot column texts, "" where it has no known category.
data::Column column_of(const data::Dataset& dataset, const Feature& feature) {
  data::Column column{.name = feature.name};
  const std::span<const float> values = dataset.examples.data<float>();
  const std::size_t width = dataset.feature_names.size();
  for (std::size_t at = feature.first; at < values.size(); at += width) {
    if (!feature.is_one_hot) {
      column.numbers.push_back(values[at]);
      continue;
    }
    column.texts.emplace_back();
    for (std::size_t k = 0; k < feature.count; ++k) {
      if (values[at + k] != 0.0F) {
        column.texts.back() = dataset.feature_names[feature.first + k].substr(feature.name.size() + 1);
      }
    }
  }
  return column;
}

/// What rules may be about: columns beside the examples, what images look like, and features.
class Subjects {
 public:
  explicit Subjects(const data::Dataset& dataset) : dataset_(dataset), columns_(dataset.columns) {
    for (const ImageMeasure& measure : dataset.has_images() ? image_measures() : std::vector<ImageMeasure>()) {
      if (!has_column(columns_, measure.name)) {
        columns_.push_back({.name = std::string(measure.name), .numbers = measured(measure, dataset)});
      }
    }
    for (Feature& feature : features_of(dataset.feature_names)) {
      if (!has_column(columns_, feature.name)) {
        features_.push_back(std::move(feature));
      }
    }
    for (std::size_t f = 0; f < features_.size() && features_.size() <= kMostFeatures; ++f) {
      columns_.push_back(column_of(dataset, features_[f]));
    }
  }

  /// Those of which each has slices of its own.
  const std::vector<data::Column>& columns() const { return columns_; }

  /// Throws Error where there is none of this name.
  const data::Column& find(const SliceRule& rule, const std::string& subject) {
    if (subject == kClass && dataset_.targets == data::TargetKind::kClasses && class_.name.empty()) {
      class_.name = kClass;
      for (const std::int32_t label : dataset_.labels.data<std::int32_t>()) {
        class_.texts.push_back(dataset_.class_name(label));
      }
    }
    if (subject == class_.name) {
      return class_;
    }
    std::vector<std::string> names;
    if (dataset_.targets == data::TargetKind::kClasses) {
      names.emplace_back(kClass);
    }
    for (const data::Column& column : columns_) {
      if (column.name == subject) {
        return column;
      }
      names.push_back(column.name);
    }
    if (const auto feature = std::ranges::find(features_, subject, &Feature::name); feature != features_.end()) {
      return others_.try_emplace(subject, column_of(dataset_, *feature)).first->second;
    }
    fail("slice '", rule.name, "': ", dataset_.name, " has no '", subject, "'", did_you_mean(subject, names, ";"),
         " expected ", names.empty() ? "data with columns" : "one of " + comma_separated(names),
         "; a recipe's [data] slices keep other columns");
  }

 private:
  const data::Dataset& dataset_;
  std::vector<data::Column> columns_;
  std::vector<Feature> features_ = {};
  std::map<std::string, data::Column> others_ = {};  // features of which there are too many to be in columns_
  data::Column class_ = {};
};

/// By example, whether the condition holds.
std::vector<bool> holding(const SliceRule& rule, const Condition& condition, const data::Column& column) {
  std::vector<bool> result;
  if (column.is_text()) {
    check(condition.relation == Relation::Equal || condition.relation == Relation::NotEqual, "slice '", rule.name,
          "': ", column.name, " has texts, which are compared with = and != alone");
    for (const std::string& text : column.texts) {
      result.push_back(holds(condition.relation, text, condition.value));
    }
    return result;
  }
  const bool is_share = condition.value.ends_with('%');
  const std::string_view digits =
      trimmed(std::string_view(condition.value).substr(0, condition.value.size() - (is_share ? 1 : 0)));
  const std::optional<double> given = number_of(digits);
  check(given && (!is_share || (*given >= 0.0 && *given <= 100.0)), "slice '", rule.name, "': ", column.name,
        ": expected a number, or a percentile such as 10 %, got '", condition.value, "'");
  const std::vector<double> sorted = is_share ? sorted_finite(column.numbers) : std::vector<double>();
  const double bound = !is_share || sorted.empty() ? *given : quantile(sorted, *given / 100.0);
  for (const double number : column.numbers) {
    result.push_back(holds(condition.relation, number, bound));
  }
  return result;
}

Slice slice_of(const SliceRule& rule, Subjects& subjects, std::int64_t examples) {
  std::vector<bool> is_in(static_cast<std::size_t>(examples), true);
  for (const Condition& condition : rule.conditions) {
    const std::vector<bool> also = holding(rule, condition, subjects.find(rule, condition.subject));
    for (std::size_t i = 0; i < is_in.size(); ++i) {
      is_in[i] = is_in[i] && also[i];
    }
  }
  Slice slice{.name = rule.name};
  for (std::size_t i = 0; i < is_in.size(); ++i) {
    if (is_in[i]) {
      slice.examples.push_back(static_cast<std::int64_t>(i));
    }
  }
  return slice;
}

void add_classes(const data::Dataset& dataset, std::vector<Slice>& slices) {
  std::vector<Slice> classes(static_cast<std::size_t>(dataset.classes));
  const std::span<const std::int32_t> labels = dataset.labels.data<std::int32_t>();
  for (std::size_t i = 0; i < labels.size(); ++i) {
    classes[static_cast<std::size_t>(labels[i])].examples.push_back(static_cast<std::int64_t>(i));
  }
  for (std::size_t number = 0; number < classes.size(); ++number) {
    classes[number].name = fmt::format("{} = {}", kClass, dataset.class_name(static_cast<std::int64_t>(number)));
    slices.push_back(std::move(classes[number]));
  }
}

void add_texts(const data::Column& column, std::vector<Slice>& slices) {
  std::map<std::string, std::vector<std::int64_t>> by_text;
  for (std::size_t i = 0; i < column.texts.size(); ++i) {
    by_text[column.texts[i]].push_back(static_cast<std::int64_t>(i));
  }
  std::vector<Slice> found;
  for (auto& [text, examples] : by_text) {
    found.push_back({.name = fmt::format("{} = {}", column.name, text), .examples = std::move(examples)});
  }
  std::ranges::stable_sort(found, std::greater(), [](const Slice& slice) { return slice.examples.size(); });
  found.resize(std::min(found.size(), kMostTexts));
  std::ranges::move(found, std::back_inserter(slices));
}

void add_numbers(const data::Column& column, std::vector<Slice>& slices) {
  const std::vector<double> sorted = sorted_finite(column.numbers);
  if (sorted.empty()) {
    return;
  }
  std::set<double> values;
  for (auto number = sorted.begin(); number != sorted.end() && values.size() <= kMostValues; ++number) {
    values.insert(*number);
  }
  const bool are_few = values.size() <= kMostValues;
  const std::set<double> cuts =
      are_few ? values
              : std::set{sorted.front(), quantile(sorted, 0.25), quantile(sorted, 0.5), quantile(sorted, 0.75)};
  for (auto cut = cuts.begin(); cut != cuts.end(); ++cut) {
    const auto next = std::next(cut);
    Slice slice{.name = are_few               ? fmt::format("{} = {:.6g}", column.name, *cut)
                        : next == cuts.end()  ? fmt::format("{} >= {:.4g}", column.name, *cut)
                        : cut == cuts.begin() ? fmt::format("{} < {:.4g}", column.name, *next)
                                              : fmt::format("{} {:.4g} to {:.4g}", column.name, *cut, *next)};
    for (std::size_t i = 0; i < column.numbers.size(); ++i) {
      if (column.numbers[i] >= *cut && (next == cuts.end() || column.numbers[i] < *next)) {
        slice.examples.push_back(static_cast<std::int64_t>(i));
      }
    }
    slices.push_back(std::move(slice));
  }
}

}  // namespace

SliceRule parse_slice(const std::string& name, std::string_view text) {
  SliceRule rule{.name = name};
  for (std::size_t end = text.find(kAnd); end != std::string_view::npos; end = text.find(kAnd)) {
    rule.conditions.push_back(parse_condition(name, text.substr(0, end)));
    text.remove_prefix(end + kAnd.size());
  }
  rule.conditions.push_back(parse_condition(name, text));
  return rule;
}

std::vector<std::string> columns_of(std::span<const SliceRule> rules) {
  std::vector<std::string> columns;
  for (const SliceRule& rule : rules) {
    for (const Condition& condition : rule.conditions) {
      const bool is_measure = std::ranges::count(image_measures(), condition.subject, &ImageMeasure::name) > 0;
      if (condition.subject != kClass && !is_measure) {
        columns.push_back(condition.subject);
      }
    }
  }
  return columns;
}

std::vector<Slice> slices_of(const data::Dataset& dataset, std::span<const SliceRule> rules) {
  Subjects subjects(dataset);
  std::vector<Slice> slices;
  for (const SliceRule& rule : rules) {
    slices.push_back(slice_of(rule, subjects, dataset.size()));
  }
  if (dataset.targets == data::TargetKind::kClasses) {
    add_classes(dataset, slices);
  }
  for (const data::Column& column : subjects.columns()) {
    column.is_text() ? add_texts(column, slices) : add_numbers(column, slices);
  }
  std::set<std::string> seen;  // a rule may say what is a slice anyway
  std::erase_if(slices, [&](const Slice& slice) { return slice.examples.empty() || !seen.insert(slice.name).second; });
  return slices;
}

}  // namespace detent::evaluation
