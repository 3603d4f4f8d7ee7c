// BatchNormalization, and what multiplies and adds a constant a channel.
#include <cmath>

#include "detent/interchange/onnx/in/operations.h"
#include "detent/nn/modules/batch_norm.h"

namespace detent::onnx {
namespace {

/// Numbers a channel in the order of the graph.
Tensor in_order(const std::vector<float>& values, const Value& x) {
  std::vector<float> ordered = values;
  for (std::size_t i = 0; x.order && i < ordered.size(); ++i) {
    ordered[i] = values[static_cast<std::size_t>((*x.order)[i])];
  }
  return Tensor::from(ordered, {static_cast<std::int64_t>(ordered.size())});
}

struct Norm {
  std::vector<float> weight = {}, bias = {}, mean = {}, variance = {};
  double epsilon = 1e-5;
  bool is_constant = false;  ///< its mean and variance are no statistics: they stay, whatever it is trained on
};

void give_norm(Builder& builder, const Node& node, std::size_t input, const Norm& norm, std::size_t named_after) {
  const nn::Graph::Handle x = builder.at(node, input);
  const Value& value = builder.in(node, input);
  nn::BatchNorm::Options options{.epsilon = norm.epsilon, .channels = static_cast<std::int64_t>(norm.weight.size())};
  if (norm.is_constant) {
    options.momentum = 0.0;
    options.frozen = true;
  }
  auto module = std::make_shared<nn::BatchNorm>(options);
  module->weight().value = in_order(norm.weight, value);
  module->bias().value = in_order(norm.bias, value);
  module->running_mean() = in_order(norm.mean, value);
  module->running_variance() = in_order(norm.variance, value);
  builder.give_like(node, builder.add(node, std::move(module), {x}, named_after), value);
}

void batch_normalization(Builder& builder, const Node& node) {
  const Value& x = builder.computed(node, 0);
  check(node.integer("training_mode", 0) == 0,
        "it normalizes with the batch's own statistics (training_mode); export the model for inference (model.eval())");
  check(x.dims.size() == 1 || x.channels_first, "expected channels as the first axis of an example, got examples of ",
        to_text(x.dims));
  Norm norm{.epsilon = static_cast<double>(node.real("epsilon", 1e-5F))};
  const char* const names[] = {"weights", "bias", "mean", "variance"};
  std::vector<float>* const parts[] = {&norm.weight, &norm.bias, &norm.mean, &norm.variance};
  for (std::size_t i = 0; i < 4; ++i) {
    *parts[i] = finite_reals(builder.constant(node, i + 1, names[i]), names[i]);
    check(static_cast<std::int64_t>(parts[i]->size()) == channels_of(x), "its ", names[i], " has ", parts[i]->size(),
          " numbers; expected one for each of ", channels_of(x), " channels");
  }
  for (const float variance : norm.variance) {
    check(variance >= 0, "its variance holds ", variance);
  }
  give_norm(builder, node, 0, norm, 1);
}

/// Of ai.onnx.ml: (x - offset) * scale.
void scaler(Builder& builder, const Node& node) {
  const Value& x = builder.computed(node, 0);
  check(x.dims.size() == 1, "expected rows, got examples of ", to_text(x.dims));
  const auto channels = static_cast<std::size_t>(channels_of(x));
  const auto numbers = [&](const char* attribute, float other) {
    std::vector<float> values = node.reals(attribute, std::vector<float>(channels, other));
    if (values.size() == 1) {
      values.resize(channels, values[0]);
    }
    check(values.size() == channels, "its ", attribute, " has ", values.size(), " numbers; expected ", channels);
    return values;
  };
  const std::vector<float> offset = numbers("offset", 0.0F);
  std::vector<float> scale = numbers("scale", 1.0F), bias(channels);
  for (std::size_t i = 0; i < channels; ++i) {
    bias[i] = -offset[i] * scale[i];
  }
  give_affine(builder, node, 0, std::move(scale), std::move(bias));
}

}  // namespace

std::int64_t channels_of(const Value& value) {
  return value.dims.empty() ? 1 : value.channels_first ? value.dims.front() : value.dims.back();
}

std::optional<std::vector<float>> per_channel(const Array& array, const Value& value) {
  std::vector<float> values = finite_reals(array, "constant");
  const std::int64_t channels = channels_of(value);
  check(channels <= kLargestRow, "it has ", channels, " channels; expected at most ", kLargestRow);
  if (values.size() == 1) {
    return std::vector<float>(static_cast<std::size_t>(channels), values[0]);
  }
  // Axes are aligned at their ends; all but the channels' must be 1, that of the batch among them.
  const std::size_t rank = value.dims.size() + 1;
  const std::size_t channel_axis = value.channels_first ? 1 : rank - 1;
  if (array.dims.size() > rank || static_cast<std::int64_t>(values.size()) != channels) {
    return std::nullopt;
  }
  const std::size_t missing = rank - array.dims.size();
  for (std::size_t axis = 0; axis < array.dims.size(); ++axis) {
    if (array.dims[axis] != (axis + missing == channel_axis ? channels : 1)) {
      return std::nullopt;
    }
  }
  return values;
}

void give_affine(Builder& builder, const Node& node, std::size_t input, std::vector<float> a, std::vector<float> b) {
  const std::size_t channels = a.size();
  Norm norm{.weight = std::move(a),
            .bias = std::move(b),
            .mean = std::vector<float>(channels, 0.0F),
            .variance = std::vector<float>(channels, 1.0F),
            .is_constant = true};
  for (float& weight : norm.weight) {
    weight = static_cast<float>(weight * std::sqrt(1.0 + norm.epsilon));
  }
  give_norm(builder, node, input, norm, 0);
}

void add_norms(Operations& table) {
  table["BatchNormalization"] = batch_normalization;
  table["ai.onnx.ml.Scaler"] = scaler;
}

}  // namespace detent::onnx
