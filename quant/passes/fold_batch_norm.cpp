#include "detent/quant/passes/fold_batch_norm.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "detent/nn/fusions.h"
#include "detent/quant/passes/copy_module.h"

namespace detent::quant {
namespace {

using nn::Graph;

template <typename Layer>
std::shared_ptr<nn::Module> copy_with_bias(Layer& source) {
  nlohmann::json options = source.options();
  options["bias"] = true;
  auto copy = std::static_pointer_cast<Layer>(Layer::from_options(options));
  const Tensor& weight = source.weight().value;
  const Tensor& bias = source.bias().value;
  check(weight.defined(), source.name(), ": its weights are not set: call Graph::initialize or load a model");
  copy->weight().value = copy_of(weight);
  copy->bias().value = bias.defined() ? copy_of(bias) : Tensor::zeros({weight.shape()[0]}, DType::F32);
  return copy;
}

std::shared_ptr<nn::Module> copy_with_bias(nn::Module& source) {
  auto* const conv = nn::exactly<nn::Conv2d>(&source);
  return conv != nullptr ? copy_with_bias(*conv) : copy_with_bias(static_cast<nn::Linear&>(source));
}

}  // namespace

void fold(const Graph::Node& batch_norm, const Kinds& kinds, Tensor& weight, Tensor& bias) {
  const std::vector<runtime::ValueType> types{{.shape = batch_norm.shape}};
  const auto norm = std::get<runtime::BatchNorm>(*kind_of(batch_norm, kinds).lower(batch_norm, types).op);
  const auto outputs = static_cast<std::size_t>(weight.shape()[0]);
  const auto row = static_cast<std::size_t>(weight.shape().row_elements());
  const auto at = [](const Tensor& tensor, std::size_t o, double otherwise) {
    return tensor.defined() ? static_cast<double>(tensor.data<float>()[o]) : otherwise;
  };
  Tensor folded_bias = Tensor::empty({weight.shape()[0]}, DType::F32);
  const std::span<float> values = weight.data<float>();
  for (std::size_t o = 0; o < outputs; ++o) {
    const double factor = at(norm.weight, o, 1.0) / std::sqrt(at(norm.variance, o, 1.0) + norm.epsilon);
    for (float& w : values.subspan(o * row, row)) {
      w = static_cast<float>(static_cast<double>(w) * factor);
    }
    folded_bias.data<float>()[o] =
        static_cast<float>(at(norm.bias, o, 0.0) + (at(bias, o, 0.0) - at(norm.mean, o, 0.0)) * factor);
  }
  bias = std::move(folded_bias);
}

Graph fold_batch_norms(const Graph& graph, const QConfigMapping& mapping, const Kinds& kinds) {
  const auto is_quantized = [&](const Graph::Node& node) {
    return mapping.lookup(node.name, node.module->kind()).has_value();
  };
  const std::vector<nn::Fusion> fusions =
      nn::find_fusions(graph, [&](const Graph::Node& taker, const Graph::Node& taken) {
        return float_product(taker.module.get()) && nn::exactly<nn::BatchNorm>(taken.module.get()) != nullptr &&
               is_quantized(taker) && is_quantized(taken);
      });
  Graph result;
  std::vector<Graph::Handle> made(graph.nodes().size(), Graph::Handle{0});
  std::vector<bool> is_folded(graph.nodes().size(), false);
  std::map<const nn::Module*, std::shared_ptr<nn::Module>> stand_ins;
  for (std::size_t i = 0; i < made.size(); ++i) {
    const Graph::Node& node = graph.nodes()[i];
    if (!node.module) {  // inputs come before all modules
      made[i] = result.input(node.shape, node.name);
      continue;
    }
    if (is_folded[i]) {
      continue;
    }
    const std::optional<Graph::Handle> batch_norm = fusions[i].batch_norm;
    std::shared_ptr<nn::Module>& module = stand_ins[node.module.get()];
    if (!module) {
      module = float_product(node.module.get()) && is_quantized(node) ? copy_with_bias(*node.module)
                                                                      : clone_module(node, kinds);
      if (batch_norm) {
        const FloatProduct product = *float_product(module.get());
        fold(graph.node(*batch_norm), kinds, product.weight->value, product.bias->value);
      }
    }
    std::vector<Graph::Handle> inputs;
    for (const Graph::Handle input : node.inputs) {
      inputs.push_back(made[input.index]);
    }
    made[i] = result.add(module, std::move(inputs), node.name);
    if (batch_norm) {
      made[batch_norm->index] = made[i];
      is_folded[batch_norm->index] = true;
    }
  }
  result.output(made[graph.output().index]);
  return result;
}

}  // namespace detent::quant
