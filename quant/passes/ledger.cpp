#include "detent/quant/passes/ledger.h"

#include <algorithm>
#include <iomanip>
#include <sstream>

#include "detent/quant/kinds/qat_product.h"
#include "detent/quant/passes/preparation.h"

namespace detent::quant {

LedgerRow float_row(const nn::Graph::Node& node, const Kinds& kinds, const std::vector<std::string>& keep_float) {
  LedgerRow row{.precision = "float", .reason = node.note};
  if (row.reason.empty()) {  // prepared by a program that wrote no notes
    row.reason = kind_of(node, kinds).has_int8_form(*node.module) ? "kept in float when it was prepared" : kNoInt8Form;
  }
  const auto asked = std::ranges::find_if(keep_float, [&](const std::string& p) { return matches(p, node.name); });
  if (row.reason == kNoInt8Form && asked != keep_float.end()) {
    row.reason = "kept in float as asked by '" + *asked + "'";
  }
  row.is_unasked_float = row.reason == kNoInt8Form;
  return row;
}

void check_prepared(const nn::Graph& graph, const Kinds& kinds) {
  const nn::Graph::Node* unprepared = nullptr;
  bool is_prepared = false;
  for (const nn::Graph::Node& node : graph.nodes()) {
    if (node.module) {
      is_prepared = is_prepared || !node.note.empty() || kind_of(node, kinds).is_prepared;
      unprepared = unprepared == nullptr ? &node : unprepared;
    }
  }
  check(is_prepared || unprepared == nullptr, "convert: ", unprepared == nullptr ? "" : unprepared->name, " (",
        unprepared == nullptr ? "" : unprepared->module->label(),
        ") was never prepared; pass the graph that quant::prepare or prepare_qat makes of this one");
}

std::vector<LedgerRow> ledger_of(const nn::Graph& prepared, const std::vector<std::string>& keep_float,
                                 const Kinds& kinds) {
  check_prepared(prepared, kinds);
  std::vector<LedgerRow> ledger;
  std::vector<bool> is_codes(prepared.nodes().size(), false);
  for (std::size_t index = 0; index < is_codes.size(); ++index) {
    const nn::Graph::Node& node = prepared.nodes()[index];
    if (!node.module) {
      continue;
    }
    const Kind& kind = kind_of(node, kinds);
    is_codes[index] = dynamic_cast<QuantizedOutput*>(node.module.get()) != nullptr ||
                      (kind.keeps_map && is_codes[node.inputs[0].index]);
    LedgerRow row{.precision = "int8", .reason = "prepared"};
    if (!is_codes[index] && !kind.is_prepared) {
      row = float_row(node, kinds, keep_float);
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
