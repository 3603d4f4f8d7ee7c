#include "detent/data/formats/limits.h"

#include <unistd.h>

#include <algorithm>

#include "detent/core/error.h"

namespace detent::data {
namespace {

std::uint64_t machine_memory() {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page_bytes = ::sysconf(_SC_PAGESIZE);
  return pages <= 0 || page_bytes <= 0 ? std::uint64_t{1} << 40
                                       : static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_bytes);
}

}  // namespace

std::uint64_t checked_bytes(const std::string& where, std::uint64_t count, std::uint64_t item_bytes) {
  const std::uint64_t memory = machine_memory();
  check(count <= memory / std::max<std::uint64_t>(item_bytes, 1), where, ": ", count, " elements of ", item_bytes,
        " bytes are more than this machine's memory of ", memory, " bytes");
  return count * item_bytes;
}

}  // namespace detent::data
