#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "detent/evaluation/allocate.h"
#include "detent/report/bar_chart.h"

namespace detent::report {

/// A row a layer, in running order: parameters, and for each bit width the increase of the loss and, in brackets, the
/// predictions changed.
std::string to_text(const evaluation::Sensitivity& sensitivity);
nlohmann::json to_json(const evaluation::Sensitivity& sensitivity);
/// The increase of the loss: a group a layer, a bar a bit width.
BarChart chart_of(const evaluation::Sensitivity& sensitivity);

/// A row a layer: bits, bytes, and what it costs; then the sums, beside what `measured` says of the whole model.
std::string to_text(const evaluation::Sensitivity& sensitivity, const evaluation::Allocation& allocation,
                    const evaluation::Score& measured);
nlohmann::json to_json(const evaluation::Sensitivity& sensitivity, const evaluation::Allocation& allocation,
                       const evaluation::Score& measured);

}  // namespace detent::report
