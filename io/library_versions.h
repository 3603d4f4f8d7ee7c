#pragma once

#include "detent/core/versions/library_versions.h"

namespace detent::io {

/// Of the HDF5 library that runs, and of nlohmann-json.
LibraryVersions library_versions();

}  // namespace detent::io
