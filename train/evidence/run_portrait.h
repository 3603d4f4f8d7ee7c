#pragma once

#include <filesystem>
#include <optional>

#include "detent/evaluation/metrics.h"
#include "detent/quant/kinds/kind.h"
#include "detent/train/run_data.h"

namespace detent::train {

/// What the report shows of the model that a run ships (evaluation/portrait): int8.h5 in its folder `out`, beside the
/// float model `graph` if that was trained; of the float model alone where nothing was quantized. None of a model of
/// which it cannot be made: that is no reason for a run to fail.
std::optional<evaluation::Portrait> portrait_of(const nn::Graph& graph, const Settings& settings, const RunData& data,
                                                const quant::Kinds& kinds, const std::filesystem::path& out,
                                                const evaluation::Metrics& metrics);

}  // namespace detent::train
