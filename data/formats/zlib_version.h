#pragma once

#include <string>

namespace detent::data {

/// Of the zlib that runs: "1.2.13".
std::string version_of_zlib();

}  // namespace detent::data
