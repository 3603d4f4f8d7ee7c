#include "detent/quant/passes/prepare.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "detent/nn/finite.h"
#include "detent/quant/kinds/qat_modules.h"
#include "detent/quant/passes/copy_module.h"

namespace detent::quant {
namespace {

using nn::Graph;
using Handle = Graph::Handle;

class Preparation;
/// How a module of one class is quantized.
using Rule = void (*)(Preparation&, std::size_t, const QConfig&);

/// The pass in progress: what became of the values of the source graph.
class Preparation {
 public:
  Preparation(const Graph& source, const QConfigMapping& mapping, const nn::ModuleKinds& kinds, FakeQuant::State state)
      : source_(source),
        mapping_(mapping),
        kinds_(kinds),
        state_(state),
        made_(source.nodes().size()),
        is_done_(made_.size()) {
    for (std::size_t index = source.inputs().size(); index < made_.size(); ++index) {
      uses_[node(index).module.get()].push_back(index);
    }
  }

  Graph run();

  const Graph::Node& node(std::size_t index) const { return source_.nodes()[index]; }
  const Graph::Node& node(Handle source_value) const { return source_.node(source_value); }
  /// How this node is quantized; nullopt: it stays in float. Static quantization observes with MinMax.
  std::optional<QConfig> config(std::size_t index) const;
  FakeQuant::State state() const { return state_; }
  /// The nodes at which this node's module stands.
  const std::vector<std::size_t>& uses(std::size_t index) const { return uses_.at(node(index).module.get()); }
  /// What stands for this node's module in the result: one module, at however many nodes it stands.
  std::shared_ptr<nn::Module>& stand_in(std::size_t index) { return stand_ins_[node(index).module.get()]; }
  std::shared_ptr<nn::Module> copy(std::size_t index);

  /// The value of an input as codes of this configuration, or as real numbers, with a quantize or dequantize put in
  /// where it must be. Values that are codes already keep those of the module that made them.
  Handle codes_of(Handle source_value, const QConfig& config);
  Handle reals_of(Handle source_value);
  /// The codes that a value of the result can have: those of the quantizer that made it.
  CodeRange codes_at(Handle value) const;
  /// Whether a module that changes no scale runs on codes: its input is codes, or an input of the model.
  bool reads_codes(std::size_t index) const {
    const Handle input = node(index).inputs[0];
    return made_[input.index].is_codes || input.index < source_.inputs().size();
  }

  /// Adds `module` under the name of the first node of `chain`; it does the work of the whole chain.
  Handle add(const std::vector<std::size_t>& chain, std::shared_ptr<nn::Module> module, std::vector<Handle> inputs,
             bool gives_codes);
  /// The nodes that are fused into node `index`, at all nodes of its module alike.
  struct Fusion {
    std::optional<std::size_t> batch_norm = {}, relu = {};
  };
  Fusion fusion(std::size_t index) const;
  /// The ReLU that alone reads node `index`, if it may be fused.
  std::optional<std::size_t> fusable_relu(std::size_t index) const;
  /// Keeps node `index` as it is, on real numbers.
  void keep_float(std::size_t index);

 private:
  struct Quantized {
    ActivationQuantizer activation;
    RangeUse range;
    Handle handle;
  };
  struct Made {
    bool is_codes = false;
    Handle handle{0};
    std::optional<Handle> reals = {};       ///< of codes
    std::vector<Quantized> quantized = {};  ///< of real numbers: one for each configuration that is asked for
  };
  void check_names() const;
  void check_is_float() const;
  void check_uses(std::size_t index) const;
  std::string reason_of_float(std::size_t index) const;
  std::string free_name(const std::string& name) const;
  std::optional<std::size_t> fusable_batch_norm(std::size_t index) const;

  const Graph& source_;
  const QConfigMapping& mapping_;
  const nn::ModuleKinds& kinds_;
  FakeQuant::State state_;
  Graph result_;
  std::vector<Made> made_;     // by value of the source graph
  std::vector<bool> is_done_;  // by node of the source graph: it stands in the result, by itself or fused
  std::map<const nn::Module*, std::vector<std::size_t>> uses_;
  std::map<const nn::Module*, std::shared_ptr<nn::Module>> stand_ins_;
};

bool is_relu(const nn::Module& module) {
  const auto* const activation = exactly<const nn::ActivationLayer>(&module);
  return activation != nullptr && activation->settings().function == kernels::Activation::Relu;
}

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

std::shared_ptr<nn::Module> Preparation::copy(std::size_t index) {
  std::shared_ptr<nn::Module>& copy = stand_in(index);
  if (!copy) {
    copy = clone_module(node(index), kinds_);
  }
  return copy;
}

std::string Preparation::free_name(const std::string& name) const {
  std::string free = name;
  for (int number = 2; source_.find(free) || result_.find(free); ++number) {
    free = name + std::to_string(number);
  }
  return free;
}

Handle Preparation::codes_of(Handle source_value, const QConfig& config) {
  Made& made = made_[source_value.index];
  if (made.is_codes) {
    return made.handle;
  }
  for (const Quantized& quantized : made.quantized) {
    if (quantized.activation == config.activation && quantized.range == config.range) {
      return quantized.handle;
    }
  }
  const Handle handle = result_.add(std::make_shared<Quantize>(config.activation, state_, config.range), {made.handle},
                                    free_name(source_.node(source_value).name + "_quantize"));
  made.quantized.push_back({config.activation, config.range, handle});
  return handle;
}

Handle Preparation::reals_of(Handle source_value) {
  Made& made = made_[source_value.index];
  if (!made.is_codes) {
    return made.handle;
  }
  if (!made.reals) {
    made.reals = result_.add(std::make_shared<Dequantize>(), {made.handle},
                             free_name(source_.node(source_value).name + "_dequantize"));
  }
  return *made.reals;
}

CodeRange Preparation::codes_at(Handle value) const {
  for (;; value = result_.node(value).inputs[0]) {
    if (auto* const quantized = dynamic_cast<QuantizedOutput*>(result_.node(value).module.get())) {
      return quantized->output().codes();
    }
  }
}

Handle Preparation::add(const std::vector<std::size_t>& chain, std::shared_ptr<nn::Module> module,
                        std::vector<Handle> inputs, bool gives_codes) {
  for (const std::size_t index : chain) {
    is_done_[index] = true;
  }
  const Handle handle = result_.add(std::move(module), std::move(inputs), node(chain.front()).name);
  made_[chain.back()] = {gives_codes, handle};
  return handle;
}

std::optional<std::size_t> Preparation::fusable_relu(std::size_t index) const {
  const std::optional<std::size_t> next = sole_consumer(source_, index);
  return next && is_relu(*node(*next).module) && config(*next) ? next : std::nullopt;
}

std::optional<std::size_t> Preparation::fusable_batch_norm(std::size_t index) const {
  const std::optional<std::size_t> next = sole_consumer(source_, index);
  return next && exactly<nn::BatchNorm>(node(*next).module.get()) && config(*next) ? next : std::nullopt;
}

Preparation::Fusion Preparation::fusion(std::size_t index) const {
  const std::vector<std::size_t>& uses = this->uses(index);
  Fusion fusion{.batch_norm = fusable_batch_norm(index)};
  const bool is_alike = fusion.batch_norm && std::ranges::all_of(uses, [&](std::size_t use) {
                          const auto other = fusable_batch_norm(use);
                          return other && node(*other).module == node(*fusion.batch_norm).module;
                        });
  // A batch norm that stands elsewhere, too, is not this module's alone.
  if (!is_alike || this->uses(*fusion.batch_norm).size() != uses.size()) {
    fusion.batch_norm.reset();
  }
  const auto relu_of = [&](std::size_t use) {
    return fusable_relu(fusion.batch_norm ? *fusable_batch_norm(use) : use);
  };
  if (std::ranges::all_of(uses, [&](std::size_t use) { return relu_of(use).has_value(); })) {
    fusion.relu = relu_of(index);
  }
  return fusion;
}

void Preparation::keep_float(std::size_t index) {
  std::vector<Handle> inputs;
  for (const Handle input : node(index).inputs) {
    inputs.push_back(reals_of(input));
  }
  result_.note(add({index}, copy(index), std::move(inputs), false), reason_of_float(index));
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

void Preparation::check_is_float() const {
  for (const Graph::Node& node : source_.nodes()) {
    check(!node.module || (node.note.empty() && !is_quantized_kind(node.module->kind())), "prepare: ", node.name, " (",
          node.module ? node.module->label() : "",
          ") is of a prepared or converted graph; pass the float graph that it was made from");
  }
}

/// One module has one weight: it cannot be quantized in two ways.
void Preparation::check_uses(std::size_t index) const {
  for (const std::size_t use : uses(index)) {
    check(config(use) == config(index) || node(index).module->slots().empty(), "prepare: ", node(index).name, " and ",
          node(use).name, " are one module, and the mapping quantizes them in two ways; give both the same rule, or ",
          "each a module of its own");
  }
}

// One rule a class of modules.

template <typename Layer, typename Qat>
void prepare_product(Preparation& pass, std::size_t index, const QConfig& config) {
  auto& source = static_cast<Layer&>(*pass.node(index).module);
  const Preparation::Fusion fusion = source.settings().relu ? Preparation::Fusion() : pass.fusion(index);
  std::vector<std::size_t> chain{index};
  for (const std::optional<std::size_t>& next : {fusion.batch_norm, fusion.relu}) {
    if (next) {
      chain.push_back(*next);
    }
  }
  std::shared_ptr<nn::Module>& made = pass.stand_in(index);
  if (!made) {
    nlohmann::json options = source.options();
    options["relu"] = false;
    auto layer = std::static_pointer_cast<Layer>(Layer::from_options(options));
    copy_slots(source, *layer);
    std::optional<FoldedBatchNorm> folded;
    if (fusion.batch_norm) {
      auto batch_norm = std::static_pointer_cast<nn::BatchNorm>(pass.copy(*fusion.batch_norm));
      const bool is_frozen = batch_norm->settings().frozen || pass.state() != FakeQuant::State::Observing;
      folded.emplace(std::move(batch_norm), is_frozen);
    }
    QatOptions qat{.qconfig = config, .relu = source.settings().relu || fusion.relu, .state = pass.state()};
    made = std::make_shared<Qat>(std::move(layer), std::move(qat), std::move(folded));
  }
  const Handle input = pass.codes_of(pass.node(index).inputs[0], config);
  const std::int64_t depth = source.conv_shape(pass.node(pass.node(index).inputs[0]).shape, 1).depth();
  try {
    kernels::ProductCodes{.x = pass.codes_at(input).qmax, .weight = signed_codes(config.weight.bits).qmax}.check_depth(
        depth);
  } catch (const Error& error) {
    const std::string& name = pass.node(index).name;
    fail("prepare: ", name, ": ", error.what(), " with keep_float = [\"", name, "\"]");
  }
  pass.add(chain, made, {input}, true);
}

void prepare_add(Preparation& pass, std::size_t index, const QConfig& config) {
  const std::optional<std::size_t> relu = pass.fusable_relu(index);
  const std::vector<Handle>& inputs = pass.node(index).inputs;
  pass.add(relu ? std::vector{index, *relu} : std::vector{index},
           std::make_shared<QatAdd>(config.activation, pass.state(), relu.has_value(), config.range),
           {pass.codes_of(inputs[0], config), pass.codes_of(inputs[1], config)}, true);
}

void prepare_average(Preparation& pass, std::size_t index, const QConfig& config) {
  AverageGeometry geometry;
  if (const auto* pool = exactly<nn::AvgPool2d>(pass.node(index).module.get())) {
    geometry = {pool->settings().kernel, pool->settings().stride, pool->settings().padding};
  }
  pass.add({index}, std::make_shared<QatAvgPool2d>(geometry, config.activation, pass.state(), config.range),
           {pass.codes_of(pass.node(index).inputs[0], config)}, true);
}

/// A module that changes no scale: `module` does its work on codes.
void prepare_on_codes(Preparation& pass, std::size_t index, const QConfig& config, std::shared_ptr<nn::Module> module) {
  if (pass.reads_codes(index)) {
    pass.add({index}, std::move(module), {pass.codes_of(pass.node(index).inputs[0], config)}, true);
  } else {
    pass.keep_float(index);
  }
}

void prepare_monotone(Preparation& pass, std::size_t index, const QConfig& config) {
  prepare_on_codes(pass, index, config, pass.copy(index));
}

void prepare_relu(Preparation& pass, std::size_t index, const QConfig& config) {
  prepare_on_codes(pass, index, config, std::make_shared<CodeRelu>());
}

void prepare_dropout(Preparation& pass, std::size_t index, const QConfig& config) {
  const double p = static_cast<const nn::Dropout&>(*pass.node(index).module).settings().p;
  prepare_on_codes(pass, index, config, std::make_shared<CodeDropout>(p));
}

/// The rule of a module; null: it has no int8 form.
Rule rule_of(const nn::Module& module) {
  static const std::map<std::type_index, Rule> rules{
      {typeid(nn::Conv2d), &prepare_product<nn::Conv2d, QatConv2d>},
      {typeid(nn::Linear), &prepare_product<nn::Linear, QatLinear>},
      {typeid(nn::Add), &prepare_add},
      {typeid(nn::AvgPool2d), &prepare_average},
      {typeid(nn::GlobalAvgPool2d), &prepare_average},
      {typeid(nn::MaxPool2d), &prepare_monotone},
      {typeid(nn::Flatten), &prepare_monotone},
      {typeid(nn::Dropout), &prepare_dropout},
  };
  const auto rule = rules.find(type_of(module));
  return rule != rules.end() ? rule->second : is_relu(module) ? &prepare_relu : nullptr;
}

std::string Preparation::reason_of_float(std::size_t index) const {
  const QConfigMapping::Choice choice = mapping_.choose(node(index).name, node(index).module->kind());
  if (!choice.config) {
    return "kept in float as asked" + (choice.rule.empty() ? " of all without a rule" : " by " + choice.rule);
  }
  return rule_of(*node(index).module) == nullptr ? std::string(kNoInt8Form) : "on real numbers because its input is";
}

Graph Preparation::run() {
  check_is_float();
  nn::check_finite(source_, "prepare");
  check_names();
  const std::span<const Graph::Node> inputs = source_.inputs();
  for (std::size_t index = 0; index < inputs.size(); ++index) {
    made_[index] = {false, result_.input(inputs[index].shape, inputs[index].name)};
  }
  for (std::size_t index = inputs.size(); index < source_.nodes().size(); ++index) {
    if (is_done_[index]) {
      continue;
    }
    const Rule rule = rule_of(*node(index).module);
    const std::optional<QConfig> config = this->config(index);
    if (rule != nullptr) {
      check_uses(index);
    }
    rule != nullptr&& config ? rule(*this, index, *config) : keep_float(index);
  }
  result_.output(reals_of(source_.output()));
  return std::move(result_);
}

}  // namespace

bool has_int8_form(const nn::Module& module) { return rule_of(module) != nullptr; }

Graph prepare_qat(const Graph& graph, const QConfigMapping& mapping, const nn::ModuleKinds& kinds) {
  return Preparation(graph, mapping, kinds, FakeQuant::State::Observing).run();
}

Graph prepare(const Graph& graph, const QConfigMapping& mapping, const nn::ModuleKinds& kinds) {
  return Preparation(graph, mapping, kinds, FakeQuant::State::Calibrating).run();
}

}  // namespace detent::quant
