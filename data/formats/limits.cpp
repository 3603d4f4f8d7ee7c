#include "detent/data/formats/limits.h"

#include <algorithm>

#include "detent/core/error.h"
#include "detent/core/processor/machine_memory.h"

namespace detent::data {

std::uint64_t checked_bytes(const std::string& where, std::uint64_t count, std::uint64_t item_bytes) {
  const std::uint64_t memory = machine_memory();
  check(count <= memory / std::max<std::uint64_t>(item_bytes, 1), where, ": ", count, " elements of ", item_bytes,
        " bytes are more than this machine's memory of ", memory, " bytes");
  return count * item_bytes;
}

}  // namespace detent::data
