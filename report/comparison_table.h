#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "detent/evaluation/compare.h"

namespace detent::report {

/// A row a layer, then the layers that one model alone has, the first layer below kAgreementDb, and the predictions.
std::string to_text(const evaluation::Comparison& comparison);
nlohmann::json to_json(const evaluation::Comparison& comparison);

}  // namespace detent::report
