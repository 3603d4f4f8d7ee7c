#pragma once

#include <string>

namespace detent::kernels {

/// Of the oneDNN that runs: "2.6.3".
std::string onednn_version();

}  // namespace detent::kernels
