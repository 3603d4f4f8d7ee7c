#include "detent/runtime/predictor/predictor.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "detent/core/error.h"
#include "detent/kernels/layers/softmax.h"

namespace detent::runtime {
namespace {

/// Examples that a plan takes at once.
constexpr std::int64_t kBatch = 256;

float real_of(const ModelFile& file, const std::string& attribute, double otherwise) {
  const auto found = file.attributes.find(attribute);
  const double* const value = found == file.attributes.end() ? nullptr : std::get_if<double>(&found->second);
  return static_cast<float>(value != nullptr ? *value : otherwise);
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
  mean_ = real_of(file_, "normalization_mean", 0.0);
  std_ = real_of(file_, "normalization_std", 1.0);
  check(file_.model.inputs.size() == 1 && !file_.model.inputs[0].type.is_codes(),
        "predictor: expected a model of one input of reals, got ", file_.model.inputs.size(),
        file_.model.inputs.size() == 1 ? " input of codes" : " inputs", "; run it by a plan");
  check(std::isfinite(mean_) && std::isfinite(std_) && std_ > 0.0F, "predictor: normalization: expected a finite mean ",
        "and a std above 0, got ", mean_, " and ", std_);
}

Tensor Predictor::normalized(const Tensor& examples) const {
  Tensor x = Tensor::empty(examples.shape(), DType::F32);
  const std::span<float> to = x.data<float>();
  if (examples.dtype() == DType::U8) {
    std::ranges::transform(examples.data<std::uint8_t>(), to.begin(),
                           [&](std::uint8_t p) { return (static_cast<float>(p) / 255.0F - mean_) / std_; });
  } else {
    std::ranges::transform(examples.data<float>(), to.begin(), [&](float value) { return (value - mean_) / std_; });
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

std::vector<Prediction> Predictor::ranked(std::vector<float> outputs, std::size_t top) const {
  if (!ends_in_softmax(file_.model)) {
    kernels::softmax_row(outputs.data(), static_cast<std::int64_t>(outputs.size()), outputs.data());
  }
  std::vector<std::size_t> order(outputs.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater(),
                           [&](std::size_t i) { return std::isnan(outputs[i]) ? -HUGE_VALF : outputs[i]; });
  order.resize(top == 0 ? order.size() : std::min(top, order.size()));
  std::vector<Prediction> predictions;
  for (const std::size_t i : order) {
    predictions.push_back({.number = static_cast<std::int64_t>(i),
                           .name = i < class_names_.size() ? class_names_[i] : std::to_string(i),
                           .probability = outputs[i]});
  }
  return predictions;
}

std::vector<std::vector<Prediction>> Predictor::predict(const Tensor& examples, std::size_t top) {
  const Tensor given = outputs(examples);
  const auto width = static_cast<std::size_t>(given.shape()[1]);
  const std::span<const float> values = given.data<float>();
  std::vector<std::vector<Prediction>> result;
  for (std::size_t first = 0; first < values.size(); first += width) {
    const std::span<const float> row = values.subspan(first, width);
    result.push_back(ranked({row.begin(), row.end()}, top));
  }
  return result;
}

}  // namespace detent::runtime
