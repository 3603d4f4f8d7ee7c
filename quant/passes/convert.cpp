#include "detent/quant/passes/convert.h"
#include "detent/kernels/codes/quantize.h"

#include <algorithm>
#include <iomanip>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "detent/nn/finite.h"
#include "detent/quant/kinds/int8_modules.h"
#include "detent/quant/passes/copy_module.h"

namespace detent::quant {
namespace {

using nn::Graph;
using Handle = Graph::Handle;

constexpr std::int64_t kExactInF32 = std::int64_t{1} << 24;

/// The pass in progress.
struct Conversion {
  const Graph& prepared;
  const std::vector<std::string>& keep_float;
  const nn::ModuleKinds& kinds;
  Converted result = {};
  std::vector<Handle> made = {};                      // by value of the prepared graph
  std::vector<std::optional<ScaleZero>> map_of = {};  // by value of the prepared graph: how its codes are read
  std::map<const nn::Module*, std::shared_ptr<nn::Module>> copies = {};  // of what is the same in both graphs

  const Graph::Node& node(std::size_t index) const { return prepared.nodes()[index]; }
  std::size_t input(std::size_t index) const { return node(index).inputs[0].index; }

  /// How the codes that a product reads are read.
  ScaleZero input_map(std::size_t index) const {
    const std::optional<ScaleZero>& map = map_of[input(index)];
    check(map.has_value(), "convert: ", node(index).name,
          ": its input is not codes: prepare puts a quantize before it");
    return *map;
  }

  void add(std::size_t index, std::shared_ptr<nn::Module> module, LedgerRow row, std::string note = {}) {
    std::vector<Handle> inputs;
    for (const Handle handle : node(index).inputs) {
      inputs.push_back(made[handle.index]);
    }
    row.name = node(index).name;
    row.kind = module->kind();
    made[index] = result.graph.add(std::move(module), std::move(inputs), row.name);
    result.graph.note(made[index], std::move(note));
    result.ledger.push_back(std::move(row));
  }
};

/// What is said of a module that stays in float: what the pass that prepared it noted, unless it is in `keep_float`.
LedgerRow float_row(const Graph::Node& node, const std::vector<std::string>& keep_float) {
  LedgerRow row{.precision = "float", .reason = node.note};
  if (row.reason.empty()) {  // prepared by a program that wrote no notes
    row.reason = has_int8_form(*node.module) ? "kept in float when it was prepared" : kNoInt8Form;
  }
  const auto asked = std::ranges::find_if(keep_float, [&](const std::string& p) { return matches(p, node.name); });
  if (row.reason == kNoInt8Form && asked != keep_float.end()) {
    row.reason = "kept in float as asked by '" + *asked + "'";
  }
  row.is_unasked_float = row.reason == kNoInt8Form;
  return row;
}

template <typename Qat>
Qat& module_at(const Conversion& pass, std::size_t index) {
  return static_cast<Qat&>(*pass.node(index).module);
}

template <typename Layer, typename Qat>
void convert_product(Conversion& pass, std::size_t index) {
  auto& qat = module_at<Qat>(pass, index);
  const QatOptions& settings = qat.settings();
  const FoldedBatchNorm* const batch_norm = qat.batch_norm();
  Int8Product::State state;
  state.input = pass.input_map(index);
  const std::vector<float> factor = batch_norm ? batch_norm->factor() : std::vector<float>();
  const std::vector<float> bias = qat.folded_bias();
  const std::string what = "convert: " + qat.name() + ": with the batch norm folded, ";
  nn::check_finite(qat.folded_weight(factor, nullptr).template data<float>(), what + "weight");
  nn::check_finite(bias, what + "bias");
  state.weight = qat.quantized_weight(state.input, factor, bias, nullptr);
  if (!bias.empty()) {
    state.bias = Tensor::from(kernels::bias_codes(state.input, state.weight.qparams, bias),
                              {static_cast<std::int64_t>(bias.size())});
  }
  nlohmann::json options = qat.layer().options();
  auto layer = std::static_pointer_cast<Layer>(Layer::from_options(options));
  const bool is_per_channel = settings.qconfig.weight.granularity == Granularity::PerChannel;
  auto int8 = std::make_shared<Int8ProductOf<Layer>>(std::move(layer),
                                                     Int8Product::Options{.weight_bits = settings.qconfig.weight.bits,
                                                                          .is_per_channel = is_per_channel,
                                                                          .has_bias = !bias.empty(),
                                                                          .relu = settings.relu,
                                                                          .output_bits = qat.output().config().bits},
                                                     std::move(state), qat.output());
  LedgerRow row{.precision = "int8", .sum_bound = int8->bound()};
  std::ostringstream reason;
  reason << "u8 x s8"
         << (settings.qconfig.weight.bits == 8 ? "" : " of " + std::to_string(settings.qconfig.weight.bits) + " bits")
         << (is_per_channel ? " per channel" : " per tensor") << (batch_norm ? ", batch norm folded" : "")
         << (settings.relu ? ", relu fused" : "")
         << (row.sum_bound < kExactInF32 ? ", sums below 2^24" : ", sums may pass 2^24");
  row.reason = reason.str();
  pass.add(index, std::move(int8), std::move(row));
}

void convert_add(Conversion& pass, std::size_t index) {
  auto& qat = module_at<QatAdd>(pass, index);
  pass.add(index, std::make_shared<Int8Add>(FixedMap(qat.output()), qat.relu()),
           {.precision = "int8", .reason = qat.relu() ? "requantized sum, relu fused" : "requantized sum"});
}

void convert_average(Conversion& pass, std::size_t index) {
  auto& qat = module_at<QatAvgPool2d>(pass, index);
  pass.add(index, std::make_shared<Int8AvgPool2d>(qat.geometry(), FixedMap(qat.output())),
           {.precision = "int8", .reason = "requantized mean"});
}

void convert_quantize(Conversion& pass, std::size_t index) {
  pass.add(index, clone_module(pass.node(index), pass.kinds), {.precision = "int8", .reason = "real numbers to codes"});
}

void convert_dequantize(Conversion& pass, std::size_t index) {
  pass.add(index, clone_module(pass.node(index), pass.kinds), {.precision = "int8", .reason = "codes to real numbers"});
}

void drop(Conversion& pass, std::size_t index) { pass.made[index] = pass.made[pass.input(index)]; }

/// A module that is the same in both graphs: on codes, or in float.
void keep(Conversion& pass, std::size_t index) {
  const Graph::Node& node = pass.node(index);
  std::shared_ptr<nn::Module>& copy = pass.copies[node.module.get()];
  if (!copy) {
    copy = clone_module(node, pass.kinds);
  }
  if (pass.map_of[index]) {
    return pass.add(index, copy, {.precision = "int8", .reason = "on codes, scale unchanged"});
  }
  pass.add(index, copy, float_row(node, pass.keep_float), node.note);
}

using Rule = void (*)(Conversion&, std::size_t);

Rule rule_of(const nn::Module& module) {
  static const std::map<std::type_index, Rule> rules{
      {typeid(Quantize), &convert_quantize},
      {typeid(Dequantize), &convert_dequantize},
      {typeid(QatConv2d), &convert_product<nn::Conv2d, QatConv2d>},
      {typeid(QatLinear), &convert_product<nn::Linear, QatLinear>},
      {typeid(QatAdd), &convert_add},
      {typeid(QatAvgPool2d), &convert_average},
      {typeid(CodeDropout), &drop},
  };
  const auto rule = rules.find(type_of(module));
  return rule == rules.end() ? &keep : rule->second;
}

/// Whether a module gives the codes that it gets on the same map, where it gets codes.
bool keeps_map(const nn::Module& module) {
  return std::ranges::count(std::vector<std::type_index>{typeid(nn::MaxPool2d), typeid(nn::Flatten), typeid(CodeRelu),
                                                         typeid(CodeDropout)},
                            type_of(module)) > 0;
}

/// Notes how the codes of this node are read, if it gives codes.
void note_map(Conversion& pass, std::size_t index) {
  const Graph::Node& node = pass.node(index);
  if (auto* const quantized = dynamic_cast<QuantizedOutput*>(node.module.get())) {
    check(quantized->output().is_frozen(), "convert: ", node.name,
          " still observes its range; freeze the observers first (quant::freeze_observers)");
    pass.map_of[index] = quantized->output().map();
  } else if (keeps_map(*node.module)) {
    pass.map_of[index] = pass.map_of[pass.input(index)];
  }
}

/// Whether some pass made it: a float graph that none of its modules keeps in float on purpose was never prepared.
void check_prepared(const Graph& graph) {
  const Graph::Node* unprepared = nullptr;
  bool is_prepared = false;
  for (const Graph::Node& node : graph.nodes()) {
    if (node.module) {
      const std::string_view kind = node.module->kind();
      check(!kind.starts_with("int8_"), "convert: ", node.name, " (", kind,
            ") is converted already; pass the graph that quant::prepare or prepare_qat made");
      is_prepared = is_prepared || !node.note.empty() || is_quantized_kind(kind);
      unprepared = unprepared == nullptr ? &node : unprepared;
    }
  }
  check(is_prepared || unprepared == nullptr, "convert: ", unprepared == nullptr ? "" : unprepared->name, " (",
        unprepared == nullptr ? "" : unprepared->module->label(),
        ") was never prepared; pass the graph that quant::prepare or prepare_qat makes of this one");
}

}  // namespace

Converted convert(const Graph& prepared, const std::vector<std::string>& keep_float, const nn::ModuleKinds& kinds) {
  nn::check_finite(prepared, "convert");
  Conversion pass{prepared, keep_float, kinds};
  const std::size_t count = prepared.nodes().size();
  check(count > 0, "convert: the graph is empty");
  check_prepared(prepared);
  pass.made.assign(count, Handle{0});
  pass.map_of.resize(count);
  const std::span<const Graph::Node> inputs = prepared.inputs();
  for (std::size_t index = 0; index < inputs.size(); ++index) {
    pass.made[index] = pass.result.graph.input(inputs[index].shape, inputs[index].name);
  }
  for (std::size_t index = inputs.size(); index < count; ++index) {
    note_map(pass, index);
    rule_of (*pass.node(index).module)(pass, index);
  }
  pass.result.graph.output(pass.made[prepared.output().index]);
  return std::move(pass.result);
}

std::vector<LedgerRow> ledger_of(const Graph& prepared, const std::vector<std::string>& keep_float) {
  check_prepared(prepared);
  std::vector<LedgerRow> ledger;
  std::vector<bool> is_codes(prepared.nodes().size(), false);
  for (std::size_t index = prepared.inputs().size(); index < is_codes.size(); ++index) {
    const Graph::Node& node = prepared.nodes()[index];
    is_codes[index] = dynamic_cast<QuantizedOutput*>(node.module.get()) != nullptr ||
                      (keeps_map(*node.module) && is_codes[node.inputs[0].index]);
    LedgerRow row{.precision = "int8", .reason = "prepared"};
    if (!is_codes[index] && !is_quantized_kind(node.module->kind())) {
      row = float_row(node, keep_float);
    }
    row.name = node.name;
    row.kind = node.module->kind();
    ledger.push_back(std::move(row));
  }
  return ledger;
}

void check_strict(const std::vector<LedgerRow>& ledger) {
  std::string names;
  for (const LedgerRow& row : ledger) {
    if (row.is_unasked_float) {
      names += (names.empty() ? "" : ", ") + row.name + " (" + row.kind + ")";
    }
  }
  check(names.empty(), "strict: these modules have no int8 form and stay in float: ", names,
        "; name them in keep_float if that is meant");
}

std::string to_text(const std::vector<LedgerRow>& ledger) {
  std::size_t name_width = 6;
  std::size_t kind_width = 4;
  for (const LedgerRow& row : ledger) {
    name_width = std::max(name_width, row.name.size());
    kind_width = std::max(kind_width, row.kind.size());
  }
  std::ostringstream text;
  const auto line = [&](std::string_view name, std::string_view kind, std::string_view precision,
                        std::string_view reason) {
    text << std::left << std::setw(static_cast<int>(name_width)) << name << "  "
         << std::setw(static_cast<int>(kind_width)) << kind << "  " << std::setw(9) << precision << "  " << reason
         << '\n';
  };
  line("module", "kind", "precision", "how");
  for (const LedgerRow& row : ledger) {
    line(row.name, row.kind, row.precision, row.reason);
  }
  return text.str();
}

}  // namespace detent::quant
