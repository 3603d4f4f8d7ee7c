#include "detent/train/quantize/quantizable.h"

#include <algorithm>

#include "detent/quant/methods/adaround.h"
#include "detent/quant/methods/hybrid.h"
#include "detent/quant/passes/equalize.h"
#include "detent/quant/passes/fold_batch_norm.h"
#include "detent/quant/passes/ledger.h"
#include "detent/quant/passes/prepare.h"

namespace detent::train {

bool has(const Improvements& improve, quant::Improvement wanted) { return std::ranges::count(improve, wanted) > 0; }

nn::Graph improve_in_float(const nn::Graph& graph, const quant::QConfigMapping& mapping, const Improvements& improve,
                           const quant::Kinds& kinds) {
  const nn::Graph folded = quant::fold_batch_norms(graph, mapping, kinds);
  return has(improve, quant::Improvement::Equalize) ? quant::equalize(folded, kinds) : folded;
}

void check_quantizable(const Settings& settings, const quant::Kinds& kinds, const nn::Graph& graph, bool is_strict) {
  if (settings.quantize.method != quant::Method::None) {
    try {
      if (quant::is_hybrid(settings.quantize.method)) {
        quant::quantize_hybrid(graph, settings.qconfig_mapping(), settings.quantize.method, kinds);
        return;
      }
      const quant::QConfigMapping mapping = settings.qconfig_mapping();
      const Improvements& improve = settings.quantize.improve;
      if (has(improve, quant::Improvement::AdaRound)) {
        quant::check_adaround(graph, mapping);
      }
      const nn::Graph prepared =
          quant::prepare(improve.empty() ? graph : improve_in_float(graph, mapping, improve, kinds), mapping, kinds);
      if (is_strict) {
        quant::check_strict(quant::ledger_of(prepared, {}, kinds));
      }
    } catch (const Error& error) {
      fail(settings.name, ": [quantize] ", error.what());
    }
  }
}

}  // namespace detent::train
