#pragma once

#include <array>
#include <optional>

#include "detent/quant/passes/open_model.h"

namespace detent::cli {

/// What the model's examples are made of bytes by, where one rule holds for all of them.
std::optional<std::array<float, 256>> pixels_of(const quant::OpenedModel& model);

}  // namespace detent::cli
