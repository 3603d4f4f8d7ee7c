#include "detent/io/library_versions.h"

#include <nlohmann/json.hpp>

#include "detent/io/hdf5_version.h"

namespace detent::io {

LibraryVersions library_versions() {
  return {{"HDF5", hdf5_version()},
          {"nlohmann-json", std::to_string(NLOHMANN_JSON_VERSION_MAJOR) + "." +
                                std::to_string(NLOHMANN_JSON_VERSION_MINOR) + "." +
                                std::to_string(NLOHMANN_JSON_VERSION_PATCH)}};
}

}  // namespace detent::io
