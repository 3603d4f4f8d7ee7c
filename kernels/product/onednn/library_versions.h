#pragma once

#include "detent/core/versions/library_versions.h"

namespace detent::kernels {

/// Of the oneDNN that runs.
LibraryVersions library_versions();

}  // namespace detent::kernels
