#include "detent/data/survey/survey.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <string_view>
#include <unordered_map>

#include "detent/core/threads/parallel.h"

namespace detent::data {
namespace {

constexpr double kFarOut = 6.0;

std::size_t row_bytes(const Tensor& tensor) {
  return static_cast<std::size_t>(tensor.shape().row_elements()) * size_of(tensor.dtype());
}

std::string_view row_of(const Tensor& tensor, std::int64_t row) {
  const std::size_t bytes = row_bytes(tensor);
  return {reinterpret_cast<const char*>(tensor.raw()) + static_cast<std::size_t>(row) * bytes, bytes};
}

// Of each column of `values`, whose rows are `columns` elements: two passes over memory, whatever their number.
template <typename T>
std::vector<Summary> summaries_of(std::span<const T> values, std::size_t columns) {
  constexpr std::size_t kElementsBetweenStops = 1 << 20;
  const auto count = static_cast<double>(values.size() / columns);
  const auto for_each = [&](auto&& use) {
    for (std::size_t row = 0; row * columns < values.size(); ++row) {
      if (row % std::max<std::size_t>(kElementsBetweenStops / columns, 1) == 0) {
        check_interruption();
      }
      for (std::size_t c = 0; c < columns; ++c) {
        use(c, static_cast<double>(values[row * columns + c]));
      }
    }
  };
  std::vector<Summary> summaries;
  for (std::size_t c = 0; c < columns; ++c) {
    summaries.push_back({.min = static_cast<double>(values[c]), .max = static_cast<double>(values[c])});
  }
  for_each([&](std::size_t c, double value) {
    summaries[c].min = std::min(summaries[c].min, value);
    summaries[c].max = std::max(summaries[c].max, value);
    summaries[c].mean += value / count;
  });
  for_each([&](std::size_t c, double value) {
    const double from_mean = value - summaries[c].mean;
    summaries[c].std += from_mean * from_mean / count;
  });
  for (Summary& summary : summaries) {
    summary.std = std::sqrt(summary.std);
  }
  return summaries;
}

std::vector<Summary> summaries_of(const Tensor& values, std::int64_t columns) {
  const auto width = static_cast<std::size_t>(columns);
  return values.dtype() == DType::U8 ? summaries_of(values.data<std::uint8_t>(), width)
                                     : summaries_of(values.data<float>(), width);
}

std::vector<std::int64_t> constant_elements(const Tensor& examples) {
  const std::size_t size = size_of(examples.dtype());
  const std::string_view first = row_of(examples, 0);
  std::vector<bool> varies(static_cast<std::size_t>(examples.shape().row_elements()));
  for (std::int64_t row = 1; row < examples.shape()[0]; ++row) {
    const std::string_view bytes = row_of(examples, row);
    for (std::size_t i = 0; i < varies.size(); ++i) {
      varies[i] = varies[i] || std::memcmp(bytes.data() + i * size, first.data() + i * size, size) != 0;
    }
  }
  std::vector<std::int64_t> constant;
  for (std::size_t i = 0; i < varies.size(); ++i) {
    if (!varies[i]) {
      constant.push_back(static_cast<std::int64_t>(i));
    }
  }
  return constant;
}

// Whether all elements of a row are the same: each equals the one before it.
bool is_blank(std::string_view row, std::size_t element_bytes) {
  return row.size() > element_bytes &&
         std::memcmp(row.data(), row.data() + element_bytes, row.size() - element_bytes) == 0;
}

void find_outliers(const Dataset& dataset, PartSurvey& part) {
  const std::span<const float> values = dataset.labels.data<float>();
  for (std::int64_t i = 0; i < dataset.size(); ++i) {
    bool is_out = false;
    for (std::int64_t k = 0; k < dataset.classes; ++k) {
      const Summary& summary = part.targets[static_cast<std::size_t>(k)];
      const double value = values[static_cast<std::size_t>(i * dataset.classes + k)];
      is_out = is_out || std::abs(value - summary.mean) > kFarOut * summary.std;
    }
    if (is_out) {
      part.outliers.push_back(i);
    }
  }
}

}  // namespace

PartSurvey survey(const Dataset& dataset) {
  PartSurvey part{.examples = dataset.size(), .elements = dataset.example_shape().elements()};
  part.all = summaries_of(dataset.examples, 1).front();
  part.constant = constant_elements(dataset.examples);
  if (dataset.examples.shape().rank() == 2) {
    part.features = summaries_of(dataset.examples, dataset.examples.shape()[1]);
  }
  if (dataset.targets == TargetKind::kValues) {
    part.targets = summaries_of(dataset.labels, dataset.classes);
    find_outliers(dataset, part);
  } else {
    part.counts = class_counts(dataset, dataset.classes);
  }
  std::unordered_map<std::string_view, std::int64_t> seen;
  for (std::int64_t i = 0; i < dataset.size(); ++i) {
    const std::string_view row = row_of(dataset.examples, i);
    if (is_blank(row, size_of(dataset.examples.dtype()))) {
      part.blank.push_back(i);
    }
    const auto [first, is_new] = seen.emplace(row, i);
    if (!is_new) {
      part.repeated.emplace_back(i, first->second);
      part.contradicting += row_of(dataset.labels, i) != row_of(dataset.labels, first->second) ? 1 : 0;
    }
  }
  return part;
}

std::int64_t count_shared(const Dataset& part, const Dataset& other) {
  std::unordered_map<std::string_view, std::int64_t> seen;
  for (std::int64_t i = 0; i < other.size(); ++i) {
    seen.emplace(row_of(other.examples, i), i);
  }
  std::int64_t shared = 0;
  for (std::int64_t i = 0; i < part.size(); ++i) {
    shared += seen.contains(row_of(part.examples, i)) ? 1 : 0;
  }
  return shared;
}

}  // namespace detent::data
