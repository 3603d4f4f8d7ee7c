#pragma once

#include <map>
#include <string>

namespace detent {

/// The libraries that are in use, by name, and their versions: "1.2.13". Each folder has a function that names those
/// that it brings; evaluation/record/versions.h has all.
using LibraryVersions = std::map<std::string, std::string>;

/// Of the TBB that runs, and of Eigen.
LibraryVersions library_versions();

}  // namespace detent
