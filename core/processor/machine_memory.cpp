#include "detent/core/processor/machine_memory.h"

#include <unistd.h>

namespace detent {

std::uint64_t machine_memory() {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page_bytes = ::sysconf(_SC_PAGESIZE);
  return pages <= 0 || page_bytes <= 0 ? std::uint64_t{1} << 40
                                       : static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_bytes);
}

}  // namespace detent
