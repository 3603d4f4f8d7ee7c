#include "quant/prepare.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "nn/finite.h"
#include "quant/pass.h"
#include "quant/qat_modules.h"

namespace detent::quant {
namespace {

using nn::Graph;
using Handle = Graph::Handle;

/// The pass in progress: what became of the values of the source graph.
class Preparation {
 public:
  Preparation(const Graph& source, const QConfigMapping& mapping, FakeQuant::State state)
      : source_(source), mapping_(mapping), state_(state), made_(source.nodes().size()), is_done_(made_.size()) {}

  Graph run();

  const Graph::Node& node(std::size_t index) const { return source_.nodes()[index]; }
  const Graph::Node& node(Handle source_value) const { return source_.node(source_value); }
  /// How this node is quantized; nullopt: it stays in float. Static quantization observes with MinMax.
  std::optional<QConfig> config(std::size_t index) const;
  FakeQuant::State state() const { return state_; }
  bool input_is_codes(std::size_t index) const { return made_[node(index).inputs[0].index].is_codes; }

  /// The value of an input as codes, or as real numbers, with a quantize or dequantize put in where it must be.
  Handle codes_of(Handle source_value, const QConfig& config);
  Handle reals_of(Handle source_value);
  /// The codes that a value of the result can have: those of the quantizer that made it.
  CodeRange codes_at(Handle value) const;

  /// Adds `module` under the name of the first node of `chain`; it does the work of the whole chain.
  void add(const std::vector<std::size_t>& chain, std::shared_ptr<nn::Module> module, std::vector<Handle> inputs,
           bool gives_codes);
  /// The ReLU that follows node `index` and nobody else reads, if it may be fused.
  std::optional<std::size_t> fusable_relu(std::size_t index) const;
  std::optional<std::size_t> fusable(std::size_t index, std::string_view kind) const;
  /// Keeps node `index` as it is, on real numbers.
  void keep_float(std::size_t index);
  /// Keeps node `index` as it is, on codes if it gets codes or the model's input.
  void keep_on_codes(std::size_t index, const QConfig& config);

 private:
  struct Made {
    bool is_codes = false;
    Handle handle{0};
    std::optional<Handle> other = {};  ///< the same value as codes where `handle` is real, and the other way round
  };
  void check_names() const;

  const Graph& source_;
  const QConfigMapping& mapping_;
  FakeQuant::State state_;
  Graph result_;
  std::vector<Made> made_;     // by value of the source graph
  std::vector<bool> is_done_;  // by node of the source graph: it stands in the result, by itself or fused
};

std::optional<QConfig> Preparation::config(std::size_t index) const {
  std::optional<QConfig> config = mapping_.lookup(node(index).name, node(index).module->kind());
  if (config) {
    config->validate();
    if (state_ == FakeQuant::State::Calibrating) {
      config->activation.observer.kind = ObserverKind::MinMax;
    }
  }
  return config;
}

Handle Preparation::codes_of(Handle source_value, const QConfig& config) {
  Made& made = made_[source_value.index];
  if (made.is_codes) {
    return made.handle;
  }
  if (!made.other) {
    made.other = result_.add(std::make_shared<Quantize>(config.activation, state_, config.range), {made.handle},
                             source_.node(source_value).name + "_quantize");
  }
  return *made.other;
}

Handle Preparation::reals_of(Handle source_value) {
  Made& made = made_[source_value.index];
  if (!made.is_codes) {
    return made.handle;
  }
  if (!made.other) {
    made.other =
        result_.add(std::make_shared<Dequantize>(), {made.handle}, source_.node(source_value).name + "_dequantize");
  }
  return *made.other;
}

CodeRange Preparation::codes_at(Handle value) const {
  for (;; value = result_.node(value).inputs[0]) {
    if (auto* const quantized = dynamic_cast<QuantizedOutput*>(result_.node(value).module.get())) {
      return quantized->output().codes();
    }
  }
}

void Preparation::add(const std::vector<std::size_t>& chain, std::shared_ptr<nn::Module> module,
                      std::vector<Handle> inputs, bool gives_codes) {
  for (const std::size_t index : chain) {
    is_done_[index] = true;
  }
  made_[chain.back()] = {gives_codes, result_.add(std::move(module), std::move(inputs), node(chain.front()).name)};
}

std::optional<std::size_t> Preparation::fusable(std::size_t index, std::string_view kind) const {
  const std::optional<std::size_t> next = sole_consumer(source_, index);
  const bool fits = next && node(*next).module->kind() == kind && config(*next);
  return fits ? next : std::nullopt;
}

std::optional<std::size_t> Preparation::fusable_relu(std::size_t index) const {
  const std::optional<std::size_t> next = fusable(index, "activation");
  const bool is_relu = next && node(*next).module->label() == kernels::name_of(kernels::Activation::Relu);
  return is_relu ? next : std::nullopt;
}

void Preparation::keep_float(std::size_t index) {
  std::vector<Handle> inputs;
  for (const Handle input : node(index).inputs) {
    inputs.push_back(reals_of(input));
  }
  add({index}, clone_module(*node(index).module), std::move(inputs), false);
}

void Preparation::keep_on_codes(std::size_t index, const QConfig& config) {
  const Handle source = node(index).inputs[0];
  const bool is_codes = made_[source.index].is_codes || source.index == 0;
  add({index}, clone_module(*node(index).module), {is_codes ? codes_of(source, config) : reals_of(source)}, is_codes);
}

void Preparation::check_names() const {
  for (const std::string& name : mapping_.names()) {
    const bool found = std::ranges::any_of(
        source_.nodes(), [&](const Graph::Node& node) { return node.module && matches(name, node.name); });
    if (!found) {
      std::ostringstream names;
      for (const Graph::Node& node : source_.nodes()) {
        names << (node.module ? " " + node.name : "");
      }
      fail("prepare: '", name, "' names no module; the modules are:", names.str());
    }
  }
}

// One rule a module kind.

template <typename Layer, typename Qat>
void prepare_product(Preparation& pass, std::size_t index) {
  const std::optional<QConfig> config = pass.config(index);
  if (!config) {
    return pass.keep_float(index);
  }
  auto& source = static_cast<Layer&>(*pass.node(index).module);
  nlohmann::json options = source.options();
  options["relu"] = false;
  auto layer = std::static_pointer_cast<Layer>(Layer::from_options(options));
  copy_slots(source, *layer);

  std::vector<std::size_t> chain{index};
  QatOptions qat{.qconfig = *config, .relu = source.settings().relu, .state = pass.state()};
  std::optional<FoldedBatchNorm> folded;
  if (const auto batch_norm = pass.fusable(index, "batch_norm"); batch_norm && !qat.relu) {
    folded.emplace(std::static_pointer_cast<nn::BatchNorm>(clone_module(*pass.node(*batch_norm).module)),
                   pass.state() != FakeQuant::State::Observing);
    chain.push_back(*batch_norm);
  }
  if (const auto relu = pass.fusable_relu(chain.back()); relu && !qat.relu) {
    qat.relu = true;
    chain.push_back(*relu);
  }
  const Handle input = pass.codes_of(pass.node(index).inputs[0], *config);
  const std::int64_t depth = layer->conv_shape(pass.node(pass.node(index).inputs[0]).shape, 1).depth();
  try {
    kernels::ProductCodes{.x = pass.codes_at(input).qmax, .weight = signed_codes(config->weight.bits).qmax}.check_depth(
        depth);
  } catch (const Error& error) {
    const std::string& name = pass.node(index).name;
    fail("prepare: ", name, ": ", error.what(), " with keep_float = [\"", name, "\"]");
  }
  pass.add(chain, std::make_shared<Qat>(std::move(layer), std::move(qat), std::move(folded)), {input}, true);
}

void prepare_add(Preparation& pass, std::size_t index) {
  const std::optional<QConfig> config = pass.config(index);
  if (!config) {
    return pass.keep_float(index);
  }
  const std::optional<std::size_t> relu = pass.fusable_relu(index);
  const std::vector<Handle>& inputs = pass.node(index).inputs;
  pass.add(relu ? std::vector{index, *relu} : std::vector{index},
           std::make_shared<QatAdd>(config->activation, pass.state(), relu.has_value(), config->range),
           {pass.codes_of(inputs[0], *config), pass.codes_of(inputs[1], *config)}, true);
}

void prepare_average(Preparation& pass, std::size_t index) {
  const std::optional<QConfig> config = pass.config(index);
  if (!config) {
    return pass.keep_float(index);
  }
  AverageGeometry geometry;
  if (const auto* pool = dynamic_cast<const nn::AvgPool2d*>(pass.node(index).module.get())) {
    geometry = {pool->settings().kernel, pool->settings().stride, pool->settings().padding};
  }
  pass.add({index}, std::make_shared<QatAvgPool2d>(geometry, config->activation, pass.state(), config->range),
           {pass.codes_of(pass.node(index).inputs[0], *config)}, true);
}

void prepare_monotone(Preparation& pass, std::size_t index) {
  const std::optional<QConfig> config = pass.config(index);
  config ? pass.keep_on_codes(index, *config) : pass.keep_float(index);
}

void prepare_activation(Preparation& pass, std::size_t index) {
  const bool is_relu = pass.node(index).module->label() == kernels::name_of(kernels::Activation::Relu);
  const std::optional<QConfig> config = pass.config(index);
  if (!config || !is_relu || !pass.input_is_codes(index)) {
    return pass.keep_float(index);
  }
  pass.add({index}, std::make_shared<CodeRelu>(), {pass.codes_of(pass.node(index).inputs[0], *config)}, true);
}

void prepare_dropout(Preparation& pass, std::size_t index) {
  const std::optional<QConfig> config = pass.config(index);
  if (!config || !pass.input_is_codes(index)) {
    return pass.keep_float(index);
  }
  const double p = static_cast<const nn::Dropout&>(*pass.node(index).module).settings().p;
  pass.add({index}, std::make_shared<CodeDropout>(p), {pass.codes_of(pass.node(index).inputs[0], *config)}, true);
}

using Rule = void (*)(Preparation&, std::size_t);

const std::map<std::string_view, Rule>& rules() {
  static const std::map<std::string_view, Rule> rules{
      {"conv2d", &prepare_product<nn::Conv2d, QatConv2d>},
      {"linear", &prepare_product<nn::Linear, QatLinear>},
      {"add", &prepare_add},
      {"avg_pool2d", &prepare_average},
      {"global_avg_pool2d", &prepare_average},
      {"max_pool2d", &prepare_monotone},
      {"flatten", &prepare_monotone},
      {"activation", &prepare_activation},
      {"dropout", &prepare_dropout},
  };
  return rules;
}

Graph Preparation::run() {
  nn::check_finite(source_, "prepare");
  check_names();
  made_[0] = {false, result_.input(source_.input_shape())};
  for (std::size_t index = 1; index < source_.nodes().size(); ++index) {
    if (!is_done_[index]) {
      const auto rule = rules().find(node(index).module->kind());
      rule == rules().end() ? keep_float(index) : rule->second(*this, index);
    }
  }
  result_.output(reals_of(source_.output()));
  return std::move(result_);
}

template <typename Fn>
void for_each_module(Graph& graph, Fn&& fn) {
  for (const Graph::Node& node : graph.nodes()) {
    if (node.module) {
      fn(node);
    }
  }
}

}  // namespace

Graph prepare_qat(const Graph& graph, const QConfigMapping& mapping) {
  return Preparation(graph, mapping, FakeQuant::State::Observing).run();
}

Graph prepare(const Graph& graph, const QConfigMapping& mapping) {
  return Preparation(graph, mapping, FakeQuant::State::Calibrating).run();
}

void freeze_observers(Graph& graph) {
  freeze_batch_norm(graph);
  for_each_module(graph, [](const Graph::Node& node) {
    if (auto* const quantized = dynamic_cast<QuantizedOutput*>(node.module.get())) {
      try {
        quantized->output().freeze();
      } catch (const Error& error) {
        fail(node.name, ": ", error.what());
      }
    }
  });
}

void freeze_batch_norm(Graph& graph) {
  for_each_module(graph, [](const Graph::Node& node) {
    if (auto* const product = dynamic_cast<QatProduct*>(node.module.get()); product && product->batch_norm()) {
      product->batch_norm()->freeze();
    }
  });
}

}  // namespace detent::quant
