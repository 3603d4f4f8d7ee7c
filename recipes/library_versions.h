#pragma once

#include "detent/core/versions/library_versions.h"

namespace detent::recipes {

/// Of toml++.
LibraryVersions library_versions();

}  // namespace detent::recipes
