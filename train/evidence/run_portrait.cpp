#include "detent/train/evidence/run_portrait.h"

#include <algorithm>

#include "detent/quant/passes/equalize.h"
#include "detent/quant/passes/fold_batch_norm.h"
#include "detent/quant/passes/lower.h"
#include "detent/quant/passes/open_model.h"

namespace detent::train {
namespace {

// The float model with values that those of the int8 model stand for: equalization moves scales between layers.
runtime::Model reference_of(const nn::Graph& graph, const Settings& settings, const quant::Kinds& kinds) {
  const bool is_equalized = std::ranges::count(settings.quantize.improve, quant::Improvement::Equalize) > 0;
  return quant::lower(
      is_equalized ? quant::equalize(quant::fold_batch_norms(graph, settings.qconfig_mapping(), kinds), kinds) : graph,
      kinds, quant::Sums::Apart);
}

}  // namespace

std::optional<evaluation::Portrait> portrait_of(const nn::Graph& graph, const Settings& settings, const RunData& data,
                                                const quant::Kinds& kinds, const std::filesystem::path& out,
                                                const evaluation::Metrics& metrics) {
  try {
    const runtime::Model reference = reference_of(graph, settings, kinds);
    if (!metrics.int8) {
      return evaluation::Portrait{.model = evaluation::drawn(reference)};
    }
    const quant::OpenedModel opened = quant::open_model(out / "int8.h5", kinds);
    const runtime::Model& shipped = *opened.model();
    const bool is_trained = metrics.fp32.train_seconds > 0.0 || metrics.fp32.was_trained_before;
    return evaluation::portray(is_trained ? reference : shipped, shipped, data.test, data.normalization);
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace detent::train
