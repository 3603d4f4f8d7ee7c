#pragma once

#include <string>

namespace detent {

/// Of the TBB that runs: "2021.8".
std::string tbb_version();

}  // namespace detent
