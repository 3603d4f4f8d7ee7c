#include "quant/convert.h"

#include <algorithm>
#include <iomanip>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "nn/finite.h"
#include "quant/int8_modules.h"
#include "quant/pass.h"

namespace detent::quant {
namespace {

using nn::Graph;
using Handle = Graph::Handle;

constexpr std::int64_t kExactInF32 = std::int64_t{1} << 24;

/// The pass in progress.
struct Conversion {
  const Graph& prepared;
  const std::vector<std::string>& keep_float;
  Converted result = {};
  std::vector<Handle> made = {};                      // by value of the prepared graph
  std::vector<std::optional<ScaleZero>> map_of = {};  // by value of the prepared graph: how its codes are read

  const Graph::Node& node(std::size_t index) const { return prepared.nodes()[index]; }
  std::size_t input(std::size_t index) const { return node(index).inputs[0].index; }

  void add(std::size_t index, std::shared_ptr<nn::Module> module, LedgerRow row) {
    std::vector<Handle> inputs;
    for (const Handle handle : node(index).inputs) {
      inputs.push_back(made[handle.index]);
    }
    row.name = node(index).name;
    row.kind = module->kind();
    made[index] = result.graph.add(std::move(module), std::move(inputs), row.name);
    result.ledger.push_back(std::move(row));
  }
};

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
  state.input = pass.map_of[pass.input(index)].value();
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
  pass.add(index, clone_module(*pass.node(index).module), {.precision = "int8", .reason = "real numbers to codes"});
}

void convert_dequantize(Conversion& pass, std::size_t index) {
  pass.add(index, clone_module(*pass.node(index).module), {.precision = "int8", .reason = "codes to real numbers"});
}

void drop(Conversion& pass, std::size_t index) { pass.made[index] = pass.made[pass.input(index)]; }

/// A module that is the same in both graphs: on codes, or in float.
void keep(Conversion& pass, std::size_t index) {
  const Graph::Node& node = pass.node(index);
  if (pass.map_of[index]) {
    return pass.add(index, clone_module(*node.module), {.precision = "int8", .reason = "on codes, scale unchanged"});
  }
  const bool asked = std::ranges::any_of(pass.keep_float, [&](const std::string& p) { return matches(p, node.name); });
  // What could have been int8 is in float only because it was asked for; so is what continues it in float.
  const bool could_be_int8 =
      std::ranges::count(std::vector<std::string_view>{"conv2d", "linear", "add", "avg_pool2d", "global_avg_pool2d",
                                                       "max_pool2d", "flatten", "dropout"},
                         node.module->kind()) > 0;
  const std::shared_ptr<nn::Module>& before = pass.node(pass.input(index)).module;
  const bool continues_float = before && before->kind() != "dequantize";
  LedgerRow row{.precision = "float"};
  row.is_unasked_float = !(asked || could_be_int8 || continues_float);
  row.reason = row.is_unasked_float ? "has no int8 form" : "kept in float as asked";
  pass.add(index, clone_module(*node.module), std::move(row));
}

using Rule = void (*)(Conversion&, std::size_t);

const std::map<std::string_view, Rule>& rules() {
  static const std::map<std::string_view, Rule> rules{
      {"quantize", &convert_quantize},
      {"dequantize", &convert_dequantize},
      {"qat_conv2d", &convert_product<nn::Conv2d, QatConv2d>},
      {"qat_linear", &convert_product<nn::Linear, QatLinear>},
      {"qat_add", &convert_add},
      {"qat_avg_pool2d", &convert_average},
      {"code_dropout", &drop},
  };
  return rules;
}

/// Notes how the codes of this node are read, if it gives codes.
void note_map(Conversion& pass, std::size_t index) {
  const Graph::Node& node = pass.node(index);
  if (auto* const quantized = dynamic_cast<QuantizedOutput*>(node.module.get())) {
    check(quantized->output().is_frozen(), "convert: ", node.name,
          " still observes its range; freeze the observers first (quant::freeze_observers)");
    pass.map_of[index] = quantized->output().map();
  } else if (node.module->kind() != "dequantize") {
    pass.map_of[index] = pass.map_of[pass.input(index)];
  }
}

}  // namespace

Converted convert(const Graph& prepared, const std::vector<std::string>& keep_float) {
  nn::check_finite(prepared, "convert");
  Conversion pass{prepared, keep_float};
  const std::size_t count = prepared.nodes().size();
  check(count > 0, "convert: the graph is empty");
  pass.made.assign(count, Handle{0});
  pass.map_of.resize(count);
  pass.made[0] = pass.result.graph.input(prepared.input_shape());
  for (std::size_t index = 1; index < count; ++index) {
    note_map(pass, index);
    const auto rule = rules().find(pass.node(index).module->kind());
    rule == rules().end() ? keep(pass, index) : rule->second(pass, index);
  }
  pass.result.graph.output(pass.made[prepared.output().index]);
  return std::move(pass.result);
}

void check_strict(const std::vector<LedgerRow>& ledger) {
  std::string names;
  for (const LedgerRow& row : ledger) {
    if (row.is_unasked_float) {
      names += (names.empty() ? "" : ", ") + row.name + " (" + row.kind + ")";
    }
  }
  check(names.empty(), "convert: these modules have no int8 form and stay in float: ", names,
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
