#include "detent/quant/passes/lower.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "detent/nn/modules/dropout.h"
#include "detent/quant/passes/module_op.h"

namespace detent::quant {
namespace {

using runtime::ValueId;

/// The model in the making. Operations that were fused into others stay until the end, marked.
class Fusion {
 public:
  Fusion(const nn::Graph& graph, const Kinds& kinds) {
    for (const nn::Graph::Node& node : graph.nodes()) {
      if (node.module) {
        made_.push_back(add(graph, node, kinds));
      } else {  // inputs come before all modules
        made_.push_back(model_.inputs.size());
        model_.inputs.push_back({.name = node.name, .type = {.shape = node.shape}});
        readers_.push_back(0);
      }
    }
    model_.output = made_[graph.output().index];
  }

  /// The model without what was fused.
  runtime::Model finish() && {
    runtime::Model result{.inputs = std::move(model_.inputs), .nodes = {}, .output = 0};
    std::vector<ValueId> renumbered(result.inputs.size());
    std::iota(renumbered.begin(), renumbered.end(), ValueId{0});
    for (std::size_t i = 0; i < model_.nodes.size(); ++i) {
      renumbered.push_back(result.values());
      if (!is_fused_[i]) {
        runtime::Node node = std::move(model_.nodes[i]);
        for (ValueId& input : node.inputs) {
          input = renumbered[input];
        }
        result.nodes.push_back(std::move(node));
      }
    }
    result.output = renumbered[model_.output];
    result.validate();
    return result;
  }

 private:
  ValueId add(const nn::Graph& graph, const nn::Graph::Node& node, const Kinds& kinds) {
    const Kind& kind = kind_of(node, kinds);
    check(!kind.is_prepared, "lower: ", node.name, " (", node.module->label(),
          ") is of a prepared graph; quant::convert makes a model of it");
    std::vector<ValueId> inputs;
    std::vector<runtime::ValueType> types;
    for (const nn::Graph::Handle input : node.inputs) {
      inputs.push_back(made_[input.index]);
      types.push_back(model_.type(inputs.back()));
    }
    if (nn::exactly<nn::Dropout>(node.module.get()) != nullptr) {
      inherit_readers(graph, node, inputs[0]);
      return inputs[0];
    }
    Lowered lowered =
        kind.lower ? kind.lower(node, types) : Lowered{.op = runtime::Custom{module_op(node, kinds, types)}};
    if (lowered.op && !fuse(*lowered.op, inputs)) {
      return append(
          {.name = node.name, .op = std::move(*lowered.op), .inputs = inputs, .output = {.shape = node.shape}},
          readers_of(graph, node));
    }
    const ValueId value = lowered.op ? fused_ : inputs[0];
    inherit_readers(graph, node, value);
    return value;
  }

  static std::size_t readers_of(const nn::Graph& graph, const nn::Graph::Node& node) {
    return graph.consumers(*graph.find(node.name));
  }

  /// `value` is read by the readers of `node` in the place of `node`.
  void inherit_readers(const nn::Graph& graph, const nn::Graph::Node& node, ValueId value) {
    readers_[value] += readers_of(graph, node) - 1;
  }

  ValueId append(runtime::Node node, std::size_t readers) {
    model_.nodes.push_back(std::move(node));
    is_fused_.push_back(false);
    readers_.push_back(readers);
    return model_.value_of(model_.nodes.size() - 1);
  }

  runtime::Node& node_of(ValueId value) { return model_.nodes[value - model_.inputs.size()]; }

  /// The operation of type O that gives `value`, if the value is read once.
  template <typename O>
  O* sole(ValueId value) {
    return value >= model_.inputs.size() && readers_[value] == 1 ? std::get_if<O>(&node_of(value).op) : nullptr;
  }
  /// The same of a product to whose sums something can be added yet.
  runtime::Product* open_product(ValueId value) {
    auto* const product = sole<runtime::Product>(value);
    return product != nullptr && !product->relu && node_of(value).inputs.size() == 1 ? product : nullptr;
  }

  /// Whether an operation that gives `value` does the work of `op`, which reads `inputs`; then `fused_` is its value.
  bool fuse(const runtime::Op& op, const std::vector<ValueId>& inputs) {
    fused_ = inputs[0];
    if (const auto* const norm = std::get_if<runtime::BatchNorm>(&op)) {
      runtime::Product* const product = open_product(inputs[0]);
      return product != nullptr && fold(*norm, *product);
    }
    if (const auto* const activation = std::get_if<runtime::Activation>(&op)) {
      return activation->function == kernels::Activation::Relu && take_relu(inputs[0]);
    }
    return std::holds_alternative<runtime::Add>(op) && inputs[0] != inputs[1] && take_sum(inputs);
  }

  /// w * factor, beta + (bias - mean) * factor, with factor = gamma / sqrt(variance + epsilon).
  static bool fold(const runtime::BatchNorm& norm, runtime::Product& product) {
    const std::size_t outputs = static_cast<std::size_t>(product.shape.o);
    const std::size_t row = static_cast<std::size_t>(product.weight.elements()) / outputs;
    const auto at = [](const Tensor& tensor, std::size_t o, double otherwise) {
      return tensor.defined() ? static_cast<double>(tensor.data<float>()[o]) : otherwise;
    };
    Tensor bias = Tensor::empty({product.shape.o}, DType::F32);
    const std::span<float> weight = product.weight.data<float>();
    for (std::size_t o = 0; o < outputs; ++o) {
      const double factor = at(norm.weight, o, 1.0) / std::sqrt(at(norm.variance, o, 1.0) + norm.epsilon);
      for (float& w : weight.subspan(o * row, row)) {
        w = static_cast<float>(static_cast<double>(w) * factor);
      }
      bias.data<float>()[o] =
          static_cast<float>(at(norm.bias, o, 0.0) + (at(product.bias, o, 0.0) - at(norm.mean, o, 0.0)) * factor);
    }
    product.bias = std::move(bias);
    return true;
  }

  bool take_relu(ValueId value) {
    if (auto* const product = sole<runtime::Product>(value)) {
      product->relu = true;
      return true;
    }
    if (auto* const sum = sole<runtime::Add>(value)) {
      sum->relu = true;
      return true;
    }
    return false;
  }

  /// The later of the summands that is a product takes the other in, at the sum's place, where both are there.
  bool take_sum(const std::vector<ValueId>& inputs) {
    ValueId product = std::max(inputs[0], inputs[1]), other = std::min(inputs[0], inputs[1]);
    if (open_product(product) == nullptr) {
      std::swap(product, other);
    }
    if (open_product(product) == nullptr) {
      return false;
    }
    runtime::Node fused = node_of(product);
    fused.inputs.push_back(other);
    is_fused_[product - model_.inputs.size()] = true;
    fused_ = append(std::move(fused), 1);
    return true;
  }

  runtime::Model model_;
  std::vector<bool> is_fused_;        // by node of model_
  std::vector<std::size_t> readers_;  // by value of model_
  std::vector<ValueId> made_;         // by value of the graph
  ValueId fused_ = 0;
};

}  // namespace

runtime::Model lower(const nn::Graph& graph, const Kinds& kinds) {
  check(!graph.nodes().empty(), "lower: the graph is empty");
  return Fusion(graph, kinds).finish();
}

}  // namespace detent::quant
