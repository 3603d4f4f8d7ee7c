#include "detent/runtime/predictor/predictor.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "detent/core/error.h"
#include "detent/io/description.h"
#include "detent/kernels/layers/softmax.h"

namespace detent::runtime {
namespace {

/// Examples that a plan takes at once.
constexpr std::int64_t kBatch = 256;

const TensorFile::Attribute* attribute_of(const ModelFile& file, const std::string& name) {
  const auto found = file.attributes.find(name);
  return found == file.attributes.end() ? nullptr : &found->second;
}

float real_of(const ModelFile& file, const std::string& name, double otherwise) {
  const TensorFile::Attribute* const attribute = attribute_of(file, name);
  const double* const value = attribute == nullptr ? nullptr : std::get_if<double>(attribute);
  return static_cast<float>(value != nullptr ? *value : otherwise);
}

std::string text_of(const ModelFile& file, const std::string& name) {
  const TensorFile::Attribute* const attribute = attribute_of(file, name);
  const std::string* const text = attribute == nullptr ? nullptr : std::get_if<std::string>(attribute);
  return text == nullptr ? std::string() : *text;
}

/// What the JSON text of an attribute holds; `otherwise` where there is none.
template <typename T>
T json_of(const ModelFile& file, const std::string& name, T otherwise) {
  const std::string text = text_of(file, name);
  if (text.empty()) {
    return otherwise;
  }
  const std::string what = "predictor: attribute '" + name + "'";
  try {
    return parse_description(what, text).get<T>();
  } catch (const nlohmann::json::exception& error) {
    fail(what, " is damaged: ", error.what());
  }
}

OutputKind output_kind_of(const ModelFile& file) {
  const std::string targets = text_of(file, "targets");
  check(targets.empty() || targets == "classes" || targets == "values" || targets == "flags",
        "predictor: attribute 'targets': expected values or flags, got '", targets, "'");
  return targets == "values" ? OutputKind::Values : targets == "flags" ? OutputKind::Flags : OutputKind::Classes;
}

}  // namespace

bool ends_in_softmax(const Model& model) {
  const Node* node = model.node_of(model.output);
  while (node != nullptr &&
         (std::holds_alternative<Dequantize>(node->op) || std::holds_alternative<Reshape>(node->op))) {
    node = model.node_of(node->inputs[0]);
  }
  return node != nullptr && std::holds_alternative<Softmax>(node->op);
}

Predictor::Predictor(const std::filesystem::path& file) : Predictor(load_model(file)) {}

Predictor::Predictor(ModelFile file) : file_(std::move(file)) {
  const Model& model = file_.model;
  check(model.inputs.size() == 1 && !model.inputs[0].type.is_codes(),
        "predictor: expected a model of one input of reals, got ", model.inputs.size(),
        model.inputs.size() == 1 ? " input of codes" : " inputs", "; run it by a plan");
  std::map<std::string, std::vector<float>> columns =
      json_of(file_, "normalization_columns", std::map<std::string, std::vector<float>>());
  means_ = columns.empty() ? std::vector{real_of(file_, "normalization_mean", 0.0)} : columns["means"];
  stds_ = columns.empty() ? std::vector{real_of(file_, "normalization_std", 1.0)} : columns["stds"];
  const Shape& shape = model.inputs[0].type.shape;
  const auto last = static_cast<std::size_t>(shape.rank() == 0 ? 1 : shape.extents().back());
  check(means_.size() == stds_.size() && (columns.empty() || means_.size() == last),
        "predictor: normalization: expected ", last, " means and stds, got ", means_.size(), " and ", stds_.size());
  const bool are_finite = std::ranges::all_of(means_, [](float x) { return std::isfinite(x); }) &&
                          std::ranges::all_of(stds_, [](float x) { return std::isfinite(x) && x > 0.0F; });
  check(are_finite, "predictor: normalization: expected finite means, and stds above 0");
  class_names_ = json_of(file_, "class_names", std::vector<std::string>());
  output_kind_ = output_kind_of(file_);
}

Tensor Predictor::normalized(const Tensor& examples) const {
  Tensor x = Tensor::empty(examples.shape(), DType::F32);
  const std::span<float> to = x.data<float>();
  const auto fill = [&](const auto& value_at) {
    const std::size_t period = means_.size();
    for (std::size_t i = 0; i < to.size(); ++i) {
      const std::size_t column = period == 1 ? 0 : i % period;
      to[i] = (value_at(i) - means_[column]) / stds_[column];
    }
  };
  if (examples.dtype() == DType::U8) {
    const std::span<const std::uint8_t> bytes = examples.data<std::uint8_t>();
    fill([&](std::size_t i) { return static_cast<float>(bytes[i]) / 255.0F; });
  } else {
    const std::span<const float> reals = examples.data<float>();
    fill([&](std::size_t i) { return reals[i]; });
  }
  return x;
}

Tensor Predictor::outputs(const Tensor& examples) {
  const Shape& shape = file_.model.inputs[0].type.shape;
  const bool is_known = examples.defined() && (examples.dtype() == DType::U8 || examples.dtype() == DType::F32);
  const bool is_one = is_known && examples.shape() == shape;
  check(is_one || (is_known && examples.shape().rank() == shape.rank() + 1 && examples.shape().row() == shape &&
                   examples.shape()[0] >= 1),
        "predictor: expected examples u8 or f32 [N, ...] of shape ", shape, ", got ", examples.dtype(), ' ',
        examples.shape());
  const Tensor all = is_one ? examples.reshape(shape.batched(1)) : examples;
  const std::int64_t count = all.shape()[0];
  const std::int64_t width = file_.model.type(file_.model.output).shape.elements();
  Tensor result = Tensor::empty({count, width}, DType::F32);
  for (std::int64_t first = 0; first < count; first += kBatch) {
    const std::int64_t size = std::min(kBatch, count - first);
    if (!plan_ || plan_->batch() != size) {
      plan_.emplace(file_.model, size);
    }
    const Tensor& given = plan_->run(normalized(all.rows(first, first + size)));
    result.rows(first, first + size).copy_from(given.as(DType::F32, nullptr).reshape({size, width}));
  }
  return result;
}

Prediction Predictor::prediction(std::size_t number, float value, float probability) const {
  return {.number = static_cast<std::int64_t>(number),
          .name = number < class_names_.size() ? class_names_[number] : std::to_string(number),
          .value = value,
          .probability = probability};
}

std::vector<Prediction> Predictor::ranked(std::span<const float> outputs, std::size_t top) const {
  std::vector<Prediction> predictions;
  if (output_kind_ != OutputKind::Classes) {
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const float yes = 1.0F / (1.0F + std::exp(-outputs[i]));
      predictions.push_back(prediction(i, outputs[i], output_kind_ == OutputKind::Flags ? yes : std::nanf("")));
    }
    return predictions;
  }
  std::vector<float> probabilities(outputs.begin(), outputs.end());
  if (!ends_in_softmax(file_.model)) {
    kernels::softmax_row(outputs.data(), static_cast<std::int64_t>(outputs.size()), probabilities.data());
  }
  std::vector<std::size_t> order(outputs.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater(),
                           [&](std::size_t i) { return std::isnan(outputs[i]) ? -HUGE_VALF : outputs[i]; });
  order.resize(top == 0 ? order.size() : std::min(top, order.size()));
  for (const std::size_t i : order) {
    predictions.push_back(prediction(i, outputs[i], probabilities[i]));
  }
  return predictions;
}

std::vector<std::vector<Prediction>> Predictor::predict(const Tensor& examples, std::size_t top) {
  const Tensor given = outputs(examples);
  const auto width = static_cast<std::size_t>(given.shape()[1]);
  const std::span<const float> values = given.data<float>();
  std::vector<std::vector<Prediction>> result;
  for (std::size_t first = 0; first < values.size(); first += width) {
    result.push_back(ranked(values.subspan(first, width), top));
  }
  return result;
}

}  // namespace detent::runtime
