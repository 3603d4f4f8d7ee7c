#pragma once

#include <string>
#include <vector>

#include "detent/core/processor/units.h"

namespace detent {

/// The units that the processor has and its system lets programs use, without any limit.
ProcessorUnits detected_units();

/// By the words that limits have (units.h): "avx2", "avx512", "avx512_vnni".
std::vector<std::string> names_of(const ProcessorUnits& units);

/// What the processor calls itself; empty where it does not say.
std::string processor_name();

}  // namespace detent
