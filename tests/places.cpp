#include "tests/places.h"

namespace detent {

std::string source_path(const std::string& below) {
  const std::string root = DETENT_SOURCE_DIR;
  return below.empty() ? root : root + "/" + below;
}

std::string program_path() { return DETENT_PROGRAM; }

std::string faulty_writes_path() { return DETENT_FAULTY_WRITES; }

}  // namespace detent
