#pragma once

#include <string>

#include "detent/quant/passes/open_model.h"

namespace detent::interchange {

/// What files of other formats are written of.
struct Exported {
  runtime::Model model = {};
  std::string sha256 = {};  ///< model_sha256, which those files state
};

/// Of a model of any kind what runs: a float model as it is lowered, one in training for int8 as it is converted. The
/// digest is that of the float model, or of the int8 model.
Exported exported(const quant::OpenedModel& model);

}  // namespace detent::interchange
