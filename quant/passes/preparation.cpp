#include "detent/quant/passes/preparation.h"

#include <algorithm>

#include "detent/core/text/nearest.h"
#include "detent/nn/finite.h"
#include "detent/quant/kinds/quantize.h"
#include "detent/quant/quantizers/ranges/rules.h"

namespace detent::quant {

using nn::Graph;
using Handle = Graph::Handle;

Preparation::Preparation(const Graph& source, const QConfigMapping& mapping, const Kinds& kinds, FakeQuant::State state)
    : source_(source),
      mapping_(mapping),
      kinds_(kinds),
      state_(state),
      made_(source.nodes().size()),
      is_done_(made_.size()),
      // A sum keeps its ReLU for its own form on codes, and pools work on codes as they are. A batch norm without a
      // product has no such form.
      fusions_(nn::find_fusions(source, [&](const Graph::Node& taker, const Graph::Node& taken) {
        const bool is_behind = nn::is_relu(taken) || nn::exactly<nn::BatchNorm>(taken.module.get()) != nullptr;
        const bool is_alone = nn::exactly<nn::BatchNorm>(taker.module.get()) != nullptr;
        return is_behind && !is_alone && mapping.lookup(taken.name, taken.module->kind()) &&
               mapping.lookup(taker.name, taker.module->kind());
      })) {
  for (std::size_t index = 0; index < made_.size(); ++index) {
    if (node(index).module) {
      uses_[node(index).module.get()].push_back(index);
    }
  }
}

std::optional<QConfig> Preparation::config(std::size_t index) const {
  std::optional<QConfig> config = mapping_.lookup(node(index).name, node(index).module->kind());
  if (config) {
    config->validate();
    QuantizerSpec& activation = config->activation;
    if (state_ == FakeQuant::State::Calibrating) {
      config->weight.gradient = activation.gradient = {};  // there will be none
    }
    const std::shared_ptr<const GradientRule> gradient = make_gradient_rule(activation.gradient);
    if (!activation.range.is_said() && gradient->learned() == 0) {
      activation.range = gradient->activation_range().or_else(
          state_ == FakeQuant::State::Calibrating ? kMinMaxRule : kMovingAverageRule);
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

void Preparation::keep_float(std::size_t index) {
  std::vector<Handle> inputs;
  for (const Handle input : node(index).inputs) {
    inputs.push_back(reals_of(input));
  }
  result_.note(add({index}, copy(index), std::move(inputs), false), reason_of_float(index));
}

void check_names(std::string_view what, const Graph& graph, const QConfigMapping& mapping) {
  for (const std::string& name : mapping.names()) {
    const bool found = std::ranges::any_of(
        graph.nodes(), [&](const Graph::Node& node) { return node.module && matches(name, node.name); });
    if (!found) {
      std::vector<std::string> known;
      std::string names;
      for (const Graph::Node& node : graph.nodes()) {
        if (node.module != nullptr) {
          known.push_back(node.name);
          names += " " + node.name;
        }
      }
      fail(what, ": '", name, "' names no module", did_you_mean(name, known, ";"), " the modules are:", names);
    }
  }
}

void Preparation::check_is_float() const {
  for (const Graph::Node& node : source_.nodes()) {
    check(!node.module || (node.note.empty() && !kind_of(node, kinds_).is_prepared), "prepare: ", node.name, " (",
          node.module ? node.module->label() : "",
          ") is of a prepared graph; pass the float graph that it was made from");
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

std::string Preparation::reason_of_float(std::size_t index) const {
  const QConfigMapping::Choice choice = mapping_.choose(node(index).name, node(index).module->kind());
  if (!choice.config) {
    return "kept in float as asked" + (choice.rule.empty() ? " of all without a rule" : " by " + choice.rule);
  }
  return kind_of(node(index), kinds_).has_int8_form(*node(index).module) ? "on real numbers because its input is"
                                                                         : std::string(kNoInt8Form);
}

Graph Preparation::run() {
  check_is_float();
  nn::check_finite(source_, "prepare");
  check_names("prepare", source_, mapping_);
  for (std::size_t index = 0; index < source_.nodes().size(); ++index) {
    if (!node(index).module) {
      made_[index] = {false, result_.input(node(index).shape, node(index).name)};
      continue;
    }
    if (is_done_[index]) {
      continue;
    }
    const Kind& kind = kind_of(node(index), kinds_);
    const bool has_rule = kind.has_int8_form(*node(index).module);
    const std::optional<QConfig> config = this->config(index);
    if (has_rule) {
      check_uses(index);
    }
    has_rule&& config ? kind.prepare(*this, index, *config) : keep_float(index);
  }
  result_.output(reals_of(source_.output()));
  return std::move(result_);
}

void prepare_on_codes(Preparation& pass, std::size_t index, const QConfig& config, std::shared_ptr<nn::Module> module) {
  if (pass.reads_codes(index)) {
    pass.add({index}, std::move(module), {pass.codes_of(pass.node(index).inputs[0], config)}, true);
  } else {
    pass.keep_float(index);
  }
}

void prepare_unchanged(Preparation& pass, std::size_t index, const QConfig& config) {
  prepare_on_codes(pass, index, config, pass.copy(index));
}

}  // namespace detent::quant
