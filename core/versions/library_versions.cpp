#include "detent/core/versions/library_versions.h"

#include <oneapi/tbb/version.h>

#include <Eigen/Core>

namespace detent {

LibraryVersions library_versions() {
  return {{"TBB", TBB_runtime_version()},
          {"Eigen", std::to_string(EIGEN_WORLD_VERSION) + "." + std::to_string(EIGEN_MAJOR_VERSION) + "." +
                        std::to_string(EIGEN_MINOR_VERSION)}};
}

}  // namespace detent
