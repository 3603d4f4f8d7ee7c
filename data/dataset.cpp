#include "detent/data/dataset.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <sstream>
#include <system_error>

#include "detent/core/utf8.h"

namespace detent::data {
namespace {

constexpr std::size_t kMostAxes = 5;

void validate_classes(const Dataset& dataset, const std::string& where) {
  const Tensor& labels = dataset.labels;
  check(labels.defined() && labels.dtype() == DType::S32 && labels.shape().rank() == 1, where,
        ": labels: expected s32 [N], got ", labels.dtype(), ' ', labels.shape());
}

void validate_targets(const Dataset& dataset, const std::string& where) {
  const Tensor& labels = dataset.labels;
  check(labels.defined() && labels.dtype() == DType::F32 && labels.shape().rank() == 2 &&
            labels.shape()[1] == dataset.classes && dataset.classes >= 1,
        where, ": ", name_of(dataset.targets), ": expected f32 [N, ", dataset.classes, "], got ", labels.dtype(), ' ',
        labels.shape());
}

void validate_class_range(const Dataset& dataset, const std::string& where) {
  const auto values = dataset.labels.data<std::int32_t>();
  const auto bad =
      std::ranges::find_if(values, [&](std::int32_t label) { return label < 0 || label >= dataset.classes; });
  if (bad != values.end()) {
    fail(where, ": label ", *bad, " of example ", bad - values.begin(), " is out of range: expected 0 to ",
         dataset.classes - 1);
  }
}

void validate_target_range(const Dataset& dataset, const std::string& where) {
  const bool is_flags = dataset.targets == TargetKind::kFlags;
  const auto values = dataset.labels.data<float>();
  const auto bad = std::ranges::find_if_not(
      values, [&](float value) { return is_flags ? value == 0.0F || value == 1.0F : std::isfinite(value); });
  if (bad != values.end()) {
    const std::int64_t at = bad - values.begin();
    fail(where, ": ", name_of(dataset.targets), ": \"", dataset.class_name(at % dataset.classes), "\" of example ",
         at / dataset.classes, " is ", *bad, ": expected ",
         is_flags ? "0 or 1" : "finite numbers; fill or remove what is missing");
  }
}

void validate_names(const Dataset& dataset, const std::string& where) {
  const auto count = static_cast<std::int64_t>(dataset.class_names.size());
  check(count == 0 || count == dataset.classes, where, ": class names: expected ", dataset.classes, ", got ", count);
  std::set<std::string_view> seen;
  for (const std::string& name : dataset.class_names) {
    check(!name.empty(), where, ": class names: one is empty");
    check(seen.insert(name).second, where, ": class names: \"", name, "\" is there twice");
  }
}

void validate_columns(const Dataset& dataset, const std::string& where) {
  for (const Column& column : dataset.columns) {
    const auto count = static_cast<std::int64_t>(column.is_text() ? column.texts.size() : column.numbers.size());
    check(!column.name.empty(), where, ": columns: one has no name");
    check(count == dataset.size() && (column.numbers.empty() || column.texts.empty()), where, ": column \"",
          column.name, "\": expected ", dataset.size(), " numbers or texts, got ", column.numbers.size(), " and ",
          column.texts.size());
  }
  const auto features = static_cast<std::int64_t>(dataset.feature_names.size());
  check(features == 0 || (dataset.examples.shape().rank() == 2 && features == dataset.examples.shape()[1]), where,
        ": feature names: got ", features, " for examples ", dataset.examples.shape());
  check(dataset.sources.empty() || std::ssize(dataset.sources) == dataset.size(), where, ": sources: expected ",
        dataset.size(), ", got ", dataset.sources.size());
}

template <typename T>
std::vector<T> chosen_of(const std::vector<T>& values, std::span<const std::int64_t> indices) {
  std::vector<T> chosen;
  if (!values.empty()) {
    chosen.reserve(indices.size());
    for (const std::int64_t index : indices) {
      chosen.push_back(values[static_cast<std::size_t>(index)]);
    }
  }
  return chosen;
}

template <typename T>
std::vector<T> first_of(const std::vector<T>& values, std::int64_t count) {
  return {values.begin(), values.begin() + std::min(std::ssize(values), static_cast<std::ptrdiff_t>(count))};
}

Tensor chosen_rows(const Tensor& tensor, std::span<const std::int64_t> indices) {
  Tensor chosen =
      Tensor::empty(tensor.shape().row().batched(static_cast<std::int64_t>(indices.size())), tensor.dtype());
  const std::size_t bytes = static_cast<std::size_t>(tensor.shape().row_elements()) * size_of(tensor.dtype());
  for (std::size_t i = 0; i < indices.size(); ++i) {
    std::memcpy(chosen.raw() + i * bytes, tensor.raw() + static_cast<std::size_t>(indices[i]) * bytes, bytes);
  }
  return chosen;
}

}  // namespace

std::string_view name_of(TargetKind kind) {
  switch (kind) {
    case TargetKind::kClasses:
      return "classes";
    case TargetKind::kValues:
      return "values";
    case TargetKind::kFlags:
      return "flags";
  }
  fail("targets: unknown kind");
}

std::int64_t Dataset::size() const { return labels.defined() && labels.shape().rank() >= 1 ? labels.shape()[0] : 0; }

std::string Dataset::class_name(std::int64_t number) const {
  return class_names.empty() ? std::to_string(number) : class_names[static_cast<std::size_t>(number)];
}

Shape Dataset::example_shape() const { return examples.shape().row(); }

bool Dataset::has_images() const { return examples.dtype() == DType::U8 && examples.shape().rank() == 4; }

void Dataset::validate(const std::string& where) const {
  check(examples.defined() && (examples.dtype() == DType::U8 || examples.dtype() == DType::F32), where,
        ": examples: expected images u8 [N, H, W, C] or features f32 [N, ...], got ", examples.dtype(), ' ',
        examples.shape());
  const Shape& shape = examples.shape();
  check(shape.rank() >= 2 && shape.rank() <= kMostAxes, where, ": examples: expected [N, ...] of 2 to ", kMostAxes,
        " axes, got ", shape);
  const bool is_classes = targets == TargetKind::kClasses;
  is_classes ? validate_classes(*this, where) : validate_targets(*this, where);
  check(shape[0] == labels.shape()[0], where, ": ", shape[0], has_images() ? " images" : " examples", " but ",
        labels.shape()[0], " labels: the two do not belong together");
  check(examples.elements() > 0, where, ": no examples: shape is ", shape);
  validate_names(*this, where);
  is_classes ? validate_class_range(*this, where) : validate_target_range(*this, where);
  validate_columns(*this, where);
  if (examples.dtype() == DType::F32) {
    const auto numbers = examples.data<float>();
    const auto infinite = std::ranges::find_if_not(numbers, [](float x) { return std::isfinite(x); });
    if (infinite != numbers.end()) {
      const std::int64_t at = infinite - numbers.begin();
      fail(where, ": features: number ", at % shape.row_elements(), " of example ", at / shape.row_elements(), " is ",
           *infinite, ": expected finite numbers; fill or remove what is missing");
    }
  }
}

void Dataset::require_classes(std::string_view purpose) const {
  check(targets == TargetKind::kClasses, purpose, ": expected one class an example, but ", name, " has ", classes, ' ',
        name_of(targets), "; name data with classes");
}

Dataset Dataset::take(std::int64_t count) const {
  check(count >= 1, name, ": take: expected at least 1 example, got ", count);
  const std::int64_t taken = std::min(count, size());
  Dataset first = *this;
  first.examples = examples.rows(0, taken);
  first.labels = labels.rows(0, taken);
  for (Column& column : first.columns) {
    column = {column.name, first_of(column.numbers, taken), first_of(column.texts, taken)};
  }
  first.sources = first_of(sources, taken);
  return first;
}

Dataset Dataset::subset(std::span<const std::int64_t> indices) const {
  const auto bad = std::ranges::find_if(indices, [&](std::int64_t index) { return index < 0 || index >= size(); });
  check(bad == indices.end(), name, ": subset: index ", bad == indices.end() ? 0 : *bad, " is not in [0, ", size(),
        ')');
  Dataset chosen{.name = name,
                 .examples = chosen_rows(examples, indices),
                 .labels = chosen_rows(labels, indices),
                 .classes = classes,
                 .targets = targets,
                 .class_names = class_names,
                 .columns = {},
                 .feature_names = feature_names,
                 .sources = chosen_of(sources, indices)};
  for (const Column& column : columns) {
    chosen.columns.push_back({column.name, chosen_of(column.numbers, indices), chosen_of(column.texts, indices)});
  }
  return chosen;
}

void DataSource::describe(const std::string& called, const std::filesystem::path& from) {
  name = valid_utf8(called);
  train.name = name + " train";
  test.name = name + " test";
  std::ostringstream text;
  text << name << " from " << valid_utf8(from.string()) << ": " << train.size() << " training and " << test.size()
       << " test " << (train.has_images() ? "images" : "examples");
  description = text.str();
}

void DataSource::validate(const std::string& where) const {
  train.validate(where + " (train)");
  test.validate(where + " (test)");
  const std::string_view what = train.has_images() ? "images" : "examples";
  check(train.example_shape() == test.example_shape(), where, ": training ", what, " are ", train.example_shape(),
        " but test ", what, " are ", test.example_shape());
  check(train.examples.dtype() == test.examples.dtype(), where, ": training examples are ", train.examples.dtype(),
        " but test examples are ", test.examples.dtype());
  check(train.targets == test.targets, where, ": training targets are ", name_of(train.targets),
        " but test targets are ", name_of(test.targets));
  check(train.classes == test.classes, where, ": training data have ", train.classes, ' ', name_of(train.targets),
        " but test data have ", test.classes);
  check(train.class_names == test.class_names, where, ": class names of training and test data differ");
}

std::string name_of_path(const std::filesystem::path& path) {
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::absolute(path, error).lexically_normal();
  const std::filesystem::path last = whole.has_filename() ? whole : whole.parent_path();
  const bool is_folder = std::filesystem::is_directory(last, error);
  const std::string name = (is_folder ? last.filename() : last.stem()).string();
  return name.empty() ? "data" : valid_utf8(name);
}

std::vector<std::int64_t> class_counts(const Dataset& dataset, std::int64_t classes) {
  check(dataset.targets != TargetKind::kValues, dataset.name, ": class counts: expected classes or flags, got values");
  std::vector<std::int64_t> counts(static_cast<std::size_t>(std::max(classes, dataset.classes)));
  if (dataset.targets == TargetKind::kFlags) {
    std::size_t at = 0;
    for (const float flag : dataset.labels.data<float>()) {
      counts[at++ % static_cast<std::size_t>(dataset.classes)] += flag != 0.0F ? 1 : 0;
    }
    return counts;
  }
  for (const std::int32_t label : dataset.labels.data<std::int32_t>()) {
    ++counts[static_cast<std::size_t>(label)];
  }
  return counts;
}

}  // namespace detent::data
