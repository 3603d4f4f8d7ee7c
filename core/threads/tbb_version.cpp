#include "detent/core/threads/tbb_version.h"

#include <oneapi/tbb/version.h>

namespace detent {

std::string tbb_version() { return TBB_runtime_version(); }

}  // namespace detent
