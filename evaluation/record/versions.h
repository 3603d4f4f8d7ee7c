#pragma once

#include <string>

#include "detent/core/versions/library_versions.h"

namespace detent::evaluation {

/// Of this program: "0.1.0".
std::string program_version();
/// What compiled it: "GCC 12.2.0".
std::string compiler_version();
/// Of the libraries of this floor and of all below it.
LibraryVersions library_versions();

}  // namespace detent::evaluation
