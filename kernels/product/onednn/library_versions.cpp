#include "detent/kernels/product/onednn/library_versions.h"

#include <oneapi/dnnl/dnnl.hpp>

namespace detent::kernels {

LibraryVersions library_versions() {
  const dnnl_version_t& version = *dnnl_version();
  return {{"oneDNN",
           std::to_string(version.major) + "." + std::to_string(version.minor) + "." + std::to_string(version.patch)}};
}

}  // namespace detent::kernels
