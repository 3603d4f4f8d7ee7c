#pragma once

#include "detent/core/versions/library_versions.h"

namespace detent::data {

/// Of the zlib, libpng and libcurl that run, and of the libjpeg that the program was built with.
LibraryVersions library_versions();

}  // namespace detent::data
