#pragma once

#include "detent/nn/graph.h"

namespace detent::quant {

/// All kinds that a file can hold: nn's, the prepared and the int8 ones. The passes copy modules by such a table; who
/// has modules of his own passes a copy of it with a row for each of their kinds.
const nn::ModuleKinds& module_kinds();

}  // namespace detent::quant
