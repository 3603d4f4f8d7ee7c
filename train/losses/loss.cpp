#include "detent/train/losses/loss.h"

#include <algorithm>

#include "detent/autograd/ops.h"

namespace detent::train {
namespace {

using data::TargetKind;

Tensor one_hot(const Tensor& labels, std::int64_t classes) {
  Tensor target = Tensor::zeros({labels.elements(), classes}, DType::F32);
  std::size_t row = 0;
  for (const std::int32_t label : labels.data<std::int32_t>()) {
    target.data<float>()[row * static_cast<std::size_t>(classes) + static_cast<std::size_t>(label)] = 1.0F;
    ++row;
  }
  return target;
}

LossKind loss_for(LossKind loss, const data::Dataset& dataset) {
  switch (loss) {
    case LossKind::Auto:
      return dataset.targets == TargetKind::kValues  ? LossKind::MeanSquaredError
             : dataset.targets == TargetKind::kFlags ? LossKind::BinaryCrossEntropy
                                                     : LossKind::CrossEntropy;
    case LossKind::CrossEntropy:
    case LossKind::SquaredHinge:
      check(dataset.targets == TargetKind::kClasses, "[train] loss: cross_entropy and squared_hinge are for classes, ",
            "and the targets of ", dataset.name, " are ", data::name_of(dataset.targets), "; write loss = \"auto\"");
      return loss;
    case LossKind::MeanSquaredError:
      check(dataset.targets != TargetKind::kFlags, "[train] loss: mse is for values and classes, and the targets of ",
            dataset.name, " are flags; write loss = \"binary_cross_entropy\"");
      return loss;
    case LossKind::L1:
    case LossKind::Huber:
      check(dataset.targets == TargetKind::kValues, "[train] loss: l1 and huber are for values, and the targets of ",
            dataset.name, " are ", data::name_of(dataset.targets), "; write loss = \"auto\"");
      return loss;
    case LossKind::BinaryCrossEntropy:
      check(dataset.targets == TargetKind::kFlags, "[train] loss: binary_cross_entropy is for flags, and the targets ",
            "of ", dataset.name, " are ", data::name_of(dataset.targets), "; write loss = \"auto\"");
      return loss;
  }
  fail("[train] loss: unknown");
}

std::vector<double> balanced_weights(const data::Dataset& dataset) {
  std::vector<double> weights;
  for (const std::int64_t count : data::class_counts(dataset, dataset.classes)) {
    const auto with = static_cast<double>(count);
    const auto all = static_cast<double>(dataset.size());
    const bool is_flag = dataset.targets == TargetKind::kFlags;
    const double weight = is_flag ? (all - with) / with : all / (static_cast<double>(dataset.classes) * with);
    weights.push_back(count == 0 || weight == 0.0 ? 1.0 : weight);
  }
  return weights;
}

ClassWeights weights_for(const TrainSettings& train, const data::Dataset& dataset) {
  if (!train.class_weights.is_on()) {
    return {};
  }
  check(train.loss == LossKind::CrossEntropy || train.loss == LossKind::BinaryCrossEntropy,
        "[train] class_weights: are for the losses cross_entropy and binary_cross_entropy; remove them");
  if (train.class_weights.is_balanced) {
    return {.weights = balanced_weights(dataset)};
  }
  check(std::ssize(train.class_weights.weights) == dataset.classes, "[train] class_weights: expected one for each of ",
        dataset.classes, ' ', data::name_of(dataset.targets), ", got ", train.class_weights.weights.size());
  return train.class_weights;
}

/// The node whose softmax or sigmoid gives the graph's result; null: there is none.
const nn::Graph::Node* squashing_at_the_end(const nn::Graph& graph, std::string_view label) {
  const nn::Graph::Node* node = &graph.node(graph.output());
  while (node->module && (node->module->kind() == "flatten" || node->module->kind() == "dequantize")) {
    node = &graph.node(node->inputs[0]);
  }
  return node->module && node->module->label() == label ? node : nullptr;
}

}  // namespace

TrainSettings settled_for(const TrainSettings& train, const data::Dataset& dataset) {
  TrainSettings settled = train;
  settled.loss = loss_for(train.loss, dataset);
  check(settled.label_smoothing == 0.0 || settled.loss == LossKind::CrossEntropy,
        "[train] label_smoothing: is for the loss cross_entropy; remove it");
  settled.class_weights = weights_for(settled, dataset);
  return settled;
}

data::TargetKind targets_of(LossKind loss, const Tensor& labels) {
  return labels.dtype() == DType::S32           ? TargetKind::kClasses
         : loss == LossKind::BinaryCrossEntropy ? TargetKind::kFlags
                                                : TargetKind::kValues;
}

nn::Variable loss_of(const nn::Variable& outputs, const Tensor& labels, const TrainSettings& train) {
  const TargetKind targets = targets_of(train.loss, labels);
  switch (train.loss) {
    case LossKind::SquaredHinge:
      return autograd::squared_hinge(outputs, labels);
    case LossKind::L1:
      return autograd::l1(outputs, labels);
    case LossKind::Huber:
      return autograd::huber(outputs, labels, train.huber_delta);
    case LossKind::BinaryCrossEntropy:
      return autograd::binary_cross_entropy(outputs, labels, train.class_weights.weights);
    case LossKind::MeanSquaredError:
      return autograd::mean_squared_error(
          outputs, targets == TargetKind::kClasses ? one_hot(labels, outputs.shape().row_elements()) : labels);
    case LossKind::Auto:
      if (targets == TargetKind::kValues) {
        return autograd::mean_squared_error(outputs, labels);
      }
      break;
    case LossKind::CrossEntropy:
      break;
  }
  return train.class_weights.weights.empty()
             ? autograd::cross_entropy(outputs, labels, train.label_smoothing)
             : autograd::weighted_cross_entropy(outputs, labels, train.class_weights.weights, train.label_smoothing);
}

bool takes_scores(const TrainSettings& train) {
  return train.loss == LossKind::CrossEntropy || train.loss == LossKind::Auto;
}

void check_loss(const nn::Graph& graph, const TrainSettings& train) {
  const nn::Graph::Node* const softmax = squashing_at_the_end(graph, "softmax");
  check(softmax == nullptr || !takes_scores(train), softmax ? softmax->name : "",
        ": the model ends with a softmax, and the loss cross_entropy has one of its own; leave the model's out, ",
        "predictions are the same, or set [train] loss = \"mse\"");
  const nn::Graph::Node* const sigmoid = squashing_at_the_end(graph, "sigmoid");
  check(sigmoid == nullptr || train.loss != LossKind::BinaryCrossEntropy, sigmoid ? sigmoid->name : "",
        ": the model ends with a sigmoid, and the loss binary_cross_entropy has one of its own; leave the model's out");
}

}  // namespace detent::train
