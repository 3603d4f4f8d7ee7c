#pragma once

#include <cstdint>

namespace detent {

/// Bytes of memory that this machine has; 2^40 where the system does not say.
std::uint64_t machine_memory();

}  // namespace detent
