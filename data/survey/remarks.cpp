#include <algorithm>
#include <limits>
#include <sstream>

#include "detent/data/survey/survey.h"

namespace detent::data {
namespace {

constexpr std::size_t kNamedItems = 5;
constexpr std::int64_t kFewExamples = 5;
constexpr double kUnequal = 100.0;  // of the widths of columns

// "cat/7.png, cat/9.png and 3 more": of the things that `name` names.
template <typename T, typename Name>
std::string list_of(const std::vector<T>& items, Name&& name) {
  std::string text;
  for (std::size_t i = 0; i < std::min(items.size(), kNamedItems); ++i) {
    text += (i == 0 ? "" : ", ") + name(items[i]);
  }
  return items.size() > kNamedItems ? text + " and " + std::to_string(items.size() - kNamedItems) + " more" : text;
}

std::string example_name(const Dataset& dataset, std::int64_t i) {
  return dataset.sources.empty() ? "example " + std::to_string(i) : dataset.sources[static_cast<std::size_t>(i)];
}

std::string element_name(const Dataset& dataset, std::int64_t i) {
  return dataset.feature_names.empty() ? std::to_string(i) : dataset.feature_names[static_cast<std::size_t>(i)];
}

template <typename... Parts>
void add(std::vector<std::string>& lines, const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  lines.push_back(text.str());
}

void add_classes(std::vector<std::string>& lines, const std::string& part, const Dataset& dataset,
                 const PartSurvey& survey) {
  std::vector<std::int64_t> none, few;
  for (std::int64_t c = 0; c < std::ssize(survey.counts); ++c) {
    const std::int64_t count = survey.counts[static_cast<std::size_t>(c)];
    if (count < kFewExamples) {
      (count == 0 ? none : few).push_back(c);
    }
  }
  const std::string what = dataset.targets == TargetKind::kFlags ? "flag" : "class";
  if (!none.empty()) {
    add(lines, part, ": no example of ", what, ' ',
        list_of(none, [&](std::int64_t c) { return dataset.class_name(c); }));
  }
  if (!few.empty()) {
    add(lines, part, ": few examples of ", what, ' ', list_of(few, [&](std::int64_t c) {
          return dataset.class_name(c) + " (" + std::to_string(survey.counts[static_cast<std::size_t>(c)]) + ")";
        }));
  }
}

void add_examples(std::vector<std::string>& lines, const std::string& part, const Dataset& dataset,
                  const PartSurvey& survey) {
  const auto name = [&](std::int64_t i) { return example_name(dataset, i); };
  if (!survey.blank.empty()) {
    add(lines, part, ": ", survey.blank.size(), " of one value everywhere: ", list_of(survey.blank, name));
  }
  if (!survey.repeated.empty()) {
    add(lines, part, ": ", survey.repeated.size(), survey.repeated.size() == 1 ? " repeats" : " repeat",
        " an earlier one: ",
        list_of(survey.repeated, [&](const auto& pair) { return name(pair.first) + " = " + name(pair.second); }));
  }
  if (survey.contradicting > 0) {
    add(lines, part, ": ", survey.contradicting, " of these have another ",
        dataset.targets == TargetKind::kClasses ? "class" : "target", " than the first one");
  }
  if (!survey.outliers.empty()) {
    add(lines, part, ": ", survey.outliers.size(),
        " with a value more than 6 standard deviations from the mean: ", list_of(survey.outliers, name));
  }
}

// Constant columns say nothing, and columns of very unequal ranges drown one another.
void add_columns(std::vector<std::string>& lines, const Dataset& train, const PartSurvey& survey, bool are_normalized) {
  if (!survey.constant.empty()) {
    const double share = 100.0 * static_cast<double>(survey.constant.size()) / static_cast<double>(survey.elements);
    add(lines, "train: ", survey.constant.size(), " of ", survey.elements, train.has_images() ? " pixels" : " features",
        " are the same in all examples (", static_cast<std::int64_t>(share), " %)",
        train.examples.shape().rank() == 2
            ? ": " + list_of(survey.constant, [&](std::int64_t i) { return element_name(train, i); })
            : std::string());
  }
  double narrowest = std::numeric_limits<double>::infinity(), widest = 0.0;
  for (const Summary& feature : survey.features) {
    if (const double width = feature.max - feature.min; width > 0.0) {
      narrowest = std::min(narrowest, width);
      widest = std::max(widest, width);
    }
  }
  if (widest > kUnequal * narrowest && !are_normalized) {
    add(lines, "train: features reach over ", narrowest, " to ", widest,
        "; write normalize = \"columns\" under [data] to bring each to mean 0 and standard deviation 1");
  }
}

}  // namespace

std::vector<std::string> remarks(const DataSource& source, const PartSurvey& train, const PartSurvey& test,
                                 bool are_normalized) {
  std::vector<std::string> lines;
  add_classes(lines, "train", source.train, train);
  add_classes(lines, "test", source.test, test);
  add_examples(lines, "train", source.train, train);
  add_examples(lines, "test", source.test, test);
  if (const std::int64_t shared = count_shared(source.test, source.train); shared > 0) {
    add(lines, "test: ", shared, " of ", test.examples, " examples are training examples, too");
  }
  add_columns(lines, source.train, train, are_normalized);
  return lines;
}

}  // namespace detent::data
