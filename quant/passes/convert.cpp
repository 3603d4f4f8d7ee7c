#include "detent/quant/passes/convert.h"

#include "detent/nn/finite.h"
#include "detent/quant/kinds/qat_product.h"
#include "detent/quant/passes/module_op.h"

namespace detent::quant {
namespace {

/// The map of the codes that a node gives; null: real numbers.
std::shared_ptr<const QParams> map_of_result(const nn::Graph::Node& node, const Kind& kind,
                                             const runtime::ValueType& input) {
  if (auto* const quantized = dynamic_cast<QuantizedOutput*>(node.module.get())) {
    check(quantized->output().is_frozen(), "convert: ", node.name,
          " still observes its range; freeze the observers first (quant::freeze_observers)");
    return quantized->output().qparams();
  }
  return kind.keeps_map ? input.qparams : nullptr;
}

LedgerRow row_of(const nn::Graph::Node& node, const Kind& kind, const Lowered& lowered, bool is_codes) {
  const bool keeps = kind.keeps_map && lowered.how.empty();
  return {.name = node.name,
          .kind = lowered.kind.empty() ? std::string(node.module->kind()) : lowered.kind,
          .precision = "int8",
          .reason = is_codes && keeps ? "on codes, scale unchanged" : lowered.how,
          .sum_bound = lowered.sum_bound,
          .sum_bits = lowered.sum_bits};
}

}  // namespace

Converted convert(const nn::Graph& prepared, const std::vector<std::string>& keep_float, const Kinds& kinds) {
  nn::check_finite(prepared, "convert");
  check(!prepared.nodes().empty(), "convert: the graph is empty");
  check_prepared(prepared, kinds);
  Converted result;
  runtime::Model& model = result.model;
  std::vector<runtime::ValueId> made(prepared.nodes().size());  // by value of the prepared graph
  for (std::size_t index = 0; index < made.size(); ++index) {
    const nn::Graph::Node& node = prepared.nodes()[index];
    if (!node.module) {  // inputs come before all modules
      made[index] = model.inputs.size();
      model.inputs.push_back({.name = node.name, .type = {.shape = node.shape}});
      continue;
    }
    const Kind& kind = kind_of(node, kinds);
    std::vector<runtime::ValueId> inputs;
    std::vector<runtime::ValueType> types;
    for (const nn::Graph::Handle input : node.inputs) {
      inputs.push_back(made[input.index]);
      types.push_back(model.type(made[input.index]));
    }
    runtime::ValueType output{.shape = node.shape, .qparams = map_of_result(node, kind, types[0])};
    output.dtype = output.is_codes() ? DType::U8 : DType::F32;
    Lowered lowered =
        kind.lower ? kind.lower(node, types) : Lowered{.op = runtime::Custom{module_op(node, kinds, types)}};
    if (!lowered.op) {
      made[index] = inputs[0];
      continue;
    }
    const bool is_float = !output.is_codes() && !kind.is_prepared;
    LedgerRow row = row_of(node, kind, lowered, output.is_codes());
    if (is_float) {
      row = float_row(node, kinds, keep_float);
      row.name = node.name;
      row.kind = node.module->kind();
    }
    result.ledger.push_back(std::move(row));
    model.nodes.push_back({.name = node.name,
                           .op = std::move(*lowered.op),
                           .inputs = std::move(inputs),
                           .output = std::move(output),
                           .note = is_float ? node.note : std::string()});
    made[index] = model.value_of(model.nodes.size() - 1);
  }
  model.output = made[prepared.output().index];
  model.validate();
  return result;
}

}  // namespace detent::quant
