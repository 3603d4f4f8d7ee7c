#pragma once

#include <filesystem>
#include <optional>

#include "detent/evaluation/drift/monitor.h"
#include "detent/quant/kinds/kind.h"
#include "detent/train/run_data.h"

namespace detent::train {

/// The test set of `data` held against the training data, as `detent monitor` does with no bounds given: by the
/// distributions in int8.h5 of the folder `out`, or in fp32.h5 where nothing was quantized. None of a model that keeps
/// none: that is no reason for a run to fail.
std::optional<evaluation::Drift> drift_of_test(const RunData& data, const quant::Kinds& kinds,
                                               const std::filesystem::path& out, bool has_int8);

}  // namespace detent::train
