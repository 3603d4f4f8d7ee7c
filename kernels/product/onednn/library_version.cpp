#include "detent/kernels/product/onednn/library_version.h"

#include <oneapi/dnnl/dnnl.hpp>

namespace detent::kernels {

std::string onednn_version() {
  const dnnl_version_t& version = *dnnl_version();
  return std::to_string(version.major) + "." + std::to_string(version.minor) + "." + std::to_string(version.patch);
}

}  // namespace detent::kernels
