#include "detent/quant/passes/equalize.h"

#include <cmath>

#include "detent/quant/passes/copy_module.h"

namespace detent::quant {
namespace {

using nn::Graph;

constexpr int kMostSweeps = 200;
constexpr double kLittle = 1e-4;  // a change of a scale, as a share of it

/// A layer in the making, in f64 until all factors are in.
struct Layer {
  FloatProduct product;
  std::vector<double> weight, bias;

  explicit Layer(const FloatProduct& from) : product(from), weight(numbers_of(from.weight->value)) {
    if (from.bias->value.defined()) {
      bias = numbers_of(from.bias->value);
    }
  }
  static std::vector<double> numbers_of(const Tensor& tensor) {
    const std::span<const float> values = tensor.data<float>();
    return {values.begin(), values.end()};
  }
  std::size_t outputs() const { return static_cast<std::size_t>(product.weight->value.shape()[0]); }
  std::size_t row() const { return weight.size() / outputs(); }
  void write() const {
    const auto copy = [](const std::vector<double>& from, Tensor& to) {
      std::ranges::transform(from, to.data<float>().begin(), [](double x) { return static_cast<float>(x); });
    };
    copy(weight, product.weight->value);
    if (!bias.empty()) {
      copy(bias, product.bias->value);
    }
  }
};

struct Pair {
  Layer& first;
  Layer& second;

  std::size_t channels() const { return first.outputs(); }
  /// Calls fn(c, w) for every weight of the second layer with the channel c that it is for. Channels lie innermost, in
  /// what is flattened too; of a layer with groups, the outputs of a group read the group's channels alone.
  template <typename Fn>
  void for_each_of_second(Fn&& fn) {
    const auto groups = static_cast<std::size_t>(second.product.groups);
    const std::size_t channels_per_group = channels() / groups, outputs_per_group = second.outputs() / groups;
    for (std::size_t o = 0; o < second.outputs(); ++o) {
      const std::size_t base = o / outputs_per_group * channels_per_group;
      for (std::size_t k = 0; k < second.row(); ++k) {
        fn(base + k % channels_per_group, second.weight[o * second.row() + k]);
      }
    }
  }

  /// The largest change of a scale.
  double equalize() {
    std::vector<double> r1(channels(), 0.0), r2(channels(), 0.0), scale(channels(), 1.0);
    for (std::size_t i = 0; i < first.weight.size(); ++i) {
      double& range = r1[i / first.row()];
      range = std::max(range, std::abs(first.weight[i]));
    }
    for_each_of_second([&](std::size_t c, double w) { r2[c] = std::max(r2[c], std::abs(w)); });
    double change = 0.0;
    for (std::size_t c = 0; c < channels(); ++c) {
      if (r1[c] > 0.0 && r2[c] > 0.0) {
        scale[c] = std::sqrt(r1[c] / r2[c]);
        change = std::max(change, std::abs(std::log(scale[c])));
      }
    }
    for (std::size_t i = 0; i < first.weight.size(); ++i) {
      first.weight[i] /= scale[i / first.row()];
    }
    for (std::size_t c = 0; c < first.bias.size(); ++c) {
      first.bias[c] /= scale[c];
    }
    for_each_of_second([&](std::size_t c, double& w) { w *= scale[c]; });
    return change;
  }
};

/// Whether f(s x) = s f(x) for s > 0 of each channel, channel by channel.
bool commutes_with_factors(nn::Module* module) {
  if (const auto* const activation = nn::exactly<nn::ActivationLayer>(module)) {
    const kernels::Activation function = activation->settings().function;
    return function == kernels::Activation::Relu || function == kernels::Activation::LeakyRelu;
  }
  return nn::exactly<nn::MaxPool2d>(module) != nullptr || nn::exactly<nn::AvgPool2d>(module) != nullptr ||
         nn::exactly<nn::GlobalAvgPool2d>(module) != nullptr || nn::exactly<nn::Dropout>(module) != nullptr ||
         nn::exactly<nn::Flatten>(module) != nullptr;
}

/// The node of the layer to which the chain behind `first` leads.
std::optional<Graph::Handle> end_of_chain(const Graph& graph, Graph::Handle first) {
  std::optional<Graph::Handle> reader = graph.sole_consumer(first);
  while (reader && commutes_with_factors(graph.node(*reader).module.get())) {
    reader = graph.sole_consumer(*reader);
  }
  return reader && float_product(graph.node(*reader).module.get()) ? reader : std::nullopt;
}

}  // namespace

Graph equalize(const Graph& graph, const Kinds& kinds) {
  Graph result = graph.clone(factories_of(kinds));
  std::map<const nn::Module*, int> uses;
  for (const Graph::Node& node : result.nodes()) {
    ++uses[node.module.get()];
  }
  std::map<std::size_t, Layer> layers;  // by node
  for (std::size_t i = 0; i < result.nodes().size(); ++i) {
    const Graph::Node& node = result.nodes()[i];
    if (const std::optional<FloatProduct> product = float_product(node.module.get());
        product && uses[node.module.get()] == 1) {
      check(product->weight->value.defined(), "equalize: ", node.name,
            ": its weights are not set: call Graph::initialize or load a model");
      layers.emplace(i, *product);
    }
  }
  std::vector<Pair> pairs;
  for (auto& [index, layer] : layers) {
    const std::optional<Graph::Handle> second = end_of_chain(result, {index});
    if (second && layers.contains(second->index)) {
      pairs.push_back({layer, layers.at(second->index)});
    }
  }
  double change = pairs.empty() ? 0.0 : 1.0;
  for (int sweep = 0; sweep < kMostSweeps && change > kLittle; ++sweep) {
    change = 0.0;
    for (Pair& pair : pairs) {
      change = std::max(change, pair.equalize());
    }
  }
  for (const Pair& pair : pairs) {
    pair.first.write();
    pair.second.write();
  }
  return result;
}

}  // namespace detent::quant
