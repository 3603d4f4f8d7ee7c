#include "detent/data/dataset.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <sstream>
#include <system_error>

#include "detent/core/utf8.h"

namespace detent::data {
namespace {

constexpr std::size_t kMostAxes = 5;

}  // namespace

std::int64_t Dataset::size() const { return labels.defined() ? labels.elements() : 0; }

Shape Dataset::example_shape() const { return examples.shape().row(); }

bool Dataset::has_images() const { return examples.dtype() == DType::U8 && examples.shape().rank() == 4; }

void Dataset::validate(const std::string& where) const {
  check(examples.defined() && (examples.dtype() == DType::U8 || examples.dtype() == DType::F32), where,
        ": examples: expected images u8 [N, H, W, C] or features f32 [N, ...], got ", examples.dtype(), ' ',
        examples.shape());
  const Shape& shape = examples.shape();
  check(shape.rank() >= 2 && shape.rank() <= kMostAxes, where, ": examples: expected [N, ...] of 2 to ", kMostAxes,
        " axes, got ", shape);
  check(labels.defined() && labels.dtype() == DType::S32 && labels.shape().rank() == 1, where,
        ": labels: expected s32 [N], got ", labels.dtype(), ' ', labels.shape());
  check(shape[0] == labels.shape()[0], where, ": ", shape[0], has_images() ? " images" : " examples", " but ",
        labels.shape()[0], " labels: the two do not belong together");
  check(examples.elements() > 0, where, ": no examples: shape is ", shape);
  const auto values = labels.data<std::int32_t>();
  const auto bad = std::ranges::find_if(values, [&](std::int32_t label) { return label < 0 || label >= classes; });
  if (bad != values.end()) {
    fail(where, ": label ", *bad, " of example ", bad - values.begin(), " is out of range: expected 0 to ",
         classes - 1);
  }
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

Dataset Dataset::take(std::int64_t count) const {
  check(count >= 1, name, ": take: expected at least 1 example, got ", count);
  const std::int64_t taken = std::min(count, size());
  return {name, examples.rows(0, taken), labels.rows(0, taken), classes};
}

Dataset Dataset::subset(std::span<const std::int64_t> indices) const {
  const auto count = static_cast<std::int64_t>(indices.size());
  Dataset chosen{name, Tensor::empty(example_shape().batched(count), examples.dtype()),
                 Tensor::empty({count}, DType::S32), classes};
  const std::size_t bytes = static_cast<std::size_t>(example_shape().elements()) * size_of(examples.dtype());
  for (std::size_t i = 0; i < indices.size(); ++i) {
    check(indices[i] >= 0 && indices[i] < size(), name, ": subset: index ", indices[i], " is not in [0, ", size(), ')');
    const auto from = static_cast<std::size_t>(indices[i]);
    std::memcpy(chosen.examples.raw() + i * bytes, examples.raw() + from * bytes, bytes);
    chosen.labels.data<std::int32_t>()[i] = labels.data<std::int32_t>()[from];
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
  check(train.classes == test.classes, where, ": training data have ", train.classes, " classes but test data have ",
        test.classes);
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
  std::vector<std::int64_t> counts(static_cast<std::size_t>(std::max(classes, dataset.classes)));
  for (const std::int32_t label : dataset.labels.data<std::int32_t>()) {
    ++counts[static_cast<std::size_t>(label)];
  }
  return counts;
}

}  // namespace detent::data
