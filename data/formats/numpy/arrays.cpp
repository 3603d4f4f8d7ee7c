#include "detent/data/formats/numpy/arrays.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <system_error>
#include <utility>

#include "detent/core/text/list_text.h"
#include "detent/data/formats/finish.h"
#include "detent/data/formats/images/layout.h"
#include "detent/data/formats/numpy/array_store.h"
#include "detent/data/formats/targets.h"

namespace detent::data {
namespace {

namespace fs = std::filesystem;

constexpr std::array kExamples{"x", "images", "data", "features", "arr_0"};
constexpr std::array kLabels{"y", "labels", "label", "targets", "target", "arr_1"};
constexpr std::array kClassNames{"class_names", "classes", "label_names", "target_names"};

// The array that is called `name` and belongs to `part`: "train", "test", or "" where there are no parts.
std::optional<std::string> find_of_part(const ArrayStore& store, const std::string& name, const std::string& part) {
  if (part.empty()) {
    return store.find(name);
  }
  for (const std::string& full : {name + "_" + part, part + "_" + name, part + "/" + name}) {
    if (auto found = store.find(full)) {
      return found;
    }
  }
  return std::nullopt;
}

template <typename Names>
std::optional<std::string> find_any(const ArrayStore& store, const Names& names, const std::string& part) {
  for (const auto& name : names) {
    if (auto found = find_of_part(store, name, part)) {
      return found;
    }
  }
  return std::nullopt;
}

std::string list_of(const ArrayStore& store) {
  const std::string text = comma_separated(store.names());
  return text.empty() ? "none" : text;
}

Tensor examples_of(const NpyArray& array) {
  const std::size_t rank = array.shape().rank();
  check(!array.has_texts(), array.where(), ": examples: expected numbers, got texts");
  check(rank >= 2, array.where(), ": examples: expected [N, ...], got ", array.shape(), "; write x[:, None]");
  if (!array.is_bytes()) {
    return array.to_f32();
  }
  const Tensor bytes = array.to_u8();
  return rank == 2 || rank > 4 ? bytes : channels_last(array.where(), bytes);
}

std::function<std::string(std::size_t)> places_of(const std::string& where) {
  return [where](std::size_t i) { return where + ": element " + std::to_string(i); };
}

// A label an example, as text.
std::vector<std::string> class_texts(const NpyArray& array) {
  const Shape& shape = array.shape();
  check(shape.rank() == 1 || (shape.rank() == 2 && shape[1] == 1), array.where(),
        ": labels: expected one class an example, [N], got ", shape,
        "; of one number a class write y.argmax(1), of several targets task = \"flags\" or \"values\" under [data]");
  if (array.kind() == NpyArray::Kind::kReal) {
    const std::vector<double> numbers = array.numbers();
    const auto bad = std::ranges::find_if_not(numbers, [](double x) { return std::floor(x) == x; });
    check(bad == numbers.end(), array.where(), ": labels: element ", bad - numbers.begin(), " is ",
          bad == numbers.end() ? 0.0 : *bad, ", which is no class; write task = \"values\" under [data]");
  }
  return array.texts();
}

TargetKind task_of(const NpyArray& labels, const ReadOptions& options) {
  const bool is_one = labels.shape().rank() < 2 || labels.shape()[1] == 1;
  return options.task.value_or(is_one || labels.has_texts() ? TargetKind::kClasses : TargetKind::kValues);
}

void set_targets(Dataset& dataset, const NpyArray& labels, TargetKind task) {
  const Shape& shape = labels.shape();
  check(!labels.has_texts() && (shape.rank() == 1 || shape.rank() == 2), labels.where(), ": ", name_of(task),
        ": expected numbers [N] or [N, K], got ", labels.has_texts() ? "texts " : "", shape);
  const std::int64_t count = shape.rank() == 1 ? 1 : shape[1];
  dataset.targets = task;
  dataset.classes = count;
  dataset.labels = labels.to_f32().reshape({shape[0], count});
}

void add_columns(Dataset& dataset, ArrayStore& store, const std::string& part, const ReadOptions& options) {
  for (const std::string& name : options.slices) {
    const auto found = find_of_part(store, name, part);
    check(found.has_value(), store.path(), ": slices: has no array \"", name, part.empty() ? "" : "_", part,
          "\"; arrays are: ", list_of(store));
    const NpyArray array = store.read(*found);
    check(array.shape().rank() == 1, array.where(), ": slices: expected [N], got ", array.shape());
    Column& column = dataset.columns.emplace_back(Column{.name = name});
    array.has_texts() ? void(column.texts = array.texts()) : void(column.numbers = array.numbers());
  }
}

// The data of an archive or a folder.
class ArrayDataset {
 public:
  ArrayDataset(ArrayStore& store, const ReadOptions& options) : store_(store), options_(options) {}

  DataSource read() {
    const bool has_parts = find_any(store_, kExamples, "train").has_value();
    DataSource source;
    source.train = read_part(has_parts ? "train" : "");
    if (has_parts && find_any(store_, kExamples, "test")) {
      source.test = read_part("test");
    }
    return source;
  }

 private:
  NpyArray require(const std::optional<std::string>& found, const std::string& what, const std::string& part) {
    check(found.has_value(), store_.path(), ": has no array of ", part, part.empty() ? "" : " ", what,
          what == "labels" ? "; name it with label = \"NAME\" under [data]" : "", "; arrays are: ", list_of(store_));
    return store_.read(*found);
  }

  Dataset read_part(const std::string& part) {
    Dataset dataset;
    dataset.examples = examples_of(require(find_any(store_, kExamples, part), "examples (x or images)", part));
    check(options_.label.size() <= 1, store_.path(), ": label: expected the name of one array [N] or [N, K]");
    const auto found =
        options_.label.empty() ? find_any(store_, kLabels, part) : find_of_part(store_, options_.label[0], part);
    const NpyArray labels = require(found, "labels", part);
    const TargetKind task = task_of(labels, options_);
    if (task == TargetKind::kClasses) {
      set_classes(dataset, labels);
    } else {
      set_targets(dataset, labels, task);
    }
    add_columns(dataset, store_, part, options_);
    return dataset;
  }

  // The first part that is read, the training part, says which classes there are.
  void set_classes(Dataset& dataset, const NpyArray& labels) {
    std::vector<std::string> texts = class_texts(labels);
    const auto names = find_any(store_, kClassNames, "");
    if (names && !labels.has_texts()) {
      const NpyArray array = store_.read(*names);
      const std::vector<std::string> known = array.texts();
      for (std::size_t i = 0; i < texts.size(); ++i) {
        std::size_t number = known.size();
        std::from_chars(texts[i].data(), texts[i].data() + texts[i].size(), number);
        check(number < known.size(), labels.where(), ": element ", i, " is ", texts[i], ", but ", *names, " has ",
              known.size(), " names");
        texts[i] = known[number];
      }
      classes_ = !classes_ && options_.class_names.empty() ? std::optional(Classes::named(known)) : classes_;
    }
    if (!classes_) {
      classes_ = classes_for(texts, options_, labels.where());
    }
    dataset.labels = class_numbers(texts, *classes_, places_of(labels.where()));
    dataset.classes = classes_->size();
    dataset.class_names = classes_->names();
  }

  ArrayStore& store_;
  const ReadOptions& options_;
  std::optional<Classes> classes_;
};

// Rows of numbers, some of whose columns are the labels.
Dataset read_rows(const NpyArray& array, const ReadOptions& options) {
  const Shape& shape = array.shape();
  check(shape.rank() == 2 && !array.has_texts(), array.where(), ": expected rows of numbers [N, F], got ",
        array.has_texts() ? "texts " : "", shape, "; put examples and labels into one .npz as x and y");
  check(!options.label.empty(), array.where(),
        ": which column is the label? write its number from 0 (-1: the last) as label under [data]");
  std::vector<std::int64_t> labels;
  for (const std::string& text : options.label) {
    std::int64_t number = shape[1];
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    check(error == std::errc() && end == text.data() + text.size() && number >= -shape[1] && number < shape[1],
          array.where(), ": label: has no column ", text, ": expected a number from ", -shape[1], " to ", shape[1] - 1);
    labels.push_back(number < 0 ? number + shape[1] : number);
  }
  const std::vector<double> numbers = array.numbers();
  std::vector<float> features, targets;
  std::vector<std::string> texts;
  for (std::int64_t i = 0; i < shape[0] * shape[1]; ++i) {
    if (std::ranges::count(labels, i % shape[1]) == 0) {
      features.push_back(static_cast<float>(numbers[static_cast<std::size_t>(i)]));
    }
  }
  check(!features.empty(), array.where(), ": has no ", shape[0] == 0 ? "rows" : "columns beside the labels", ", got ",
        shape);
  const TargetKind task = options.task.value_or(labels.size() == 1 ? TargetKind::kClasses : TargetKind::kValues);
  for (std::int64_t row = 0; row < shape[0]; ++row) {
    for (const std::int64_t column : labels) {
      const double number = numbers[static_cast<std::size_t>(row * shape[1] + column)];
      check(task != TargetKind::kClasses || (std::floor(number) == number && std::abs(number) < 1e15), array.where(),
            ": label of row ", row, " is ", number, ", which is no class; write task = \"values\" under [data]");
      targets.push_back(static_cast<float>(number));
      texts.push_back(task == TargetKind::kClasses ? std::to_string(static_cast<std::int64_t>(number)) : "");
    }
  }
  Dataset dataset;
  dataset.examples = Tensor::from(features, {shape[0], shape[1] - std::ssize(labels)});
  dataset.targets = task;
  if (task == TargetKind::kClasses) {
    check(labels.size() == 1, array.where(), ": label: expected one column for task = \"classes\", got ",
          labels.size());
    const Classes classes = classes_for(texts, options, array.where());
    dataset.labels = class_numbers(texts, classes, places_of(array.where()));
    dataset.classes = classes.size();
    dataset.class_names = classes.names();
  } else {
    dataset.classes = std::ssize(labels);
    dataset.labels = Tensor::from(targets, {shape[0], dataset.classes});
  }
  return dataset;
}

}  // namespace

bool is_arrays(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    return (path.extension() == ".npz" || path.extension() == ".npy") && fs::is_regular_file(path, error);
  }
  const ArrayStore store(path);
  return find_any(store, kExamples, "").has_value() || find_any(store, kExamples, "train").has_value();
}

DataSource read_arrays(const fs::path& path, const ReadOptions& options) {
  DataSource source;
  if (path.extension() == ".npy") {
    source.train = read_rows(read_npy(path), options);
  } else {
    ArrayStore store(path);
    source = ArrayDataset(store, options).read();
  }
  return finished(std::move(source), path, options);
}

Tensor read_array(const fs::path& path) {
  if (path.extension() == ".npy") {
    return examples_of(read_npy(path));
  }
  ArrayStore store(path);
  const auto found = find_any(store, kExamples, "");
  check(found.has_value(), store.path(), ": has no array of examples (x or images); arrays are: ", list_of(store));
  return examples_of(store.read(*found));
}

}  // namespace detent::data
