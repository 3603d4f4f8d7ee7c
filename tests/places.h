#pragma once

#include <string>

namespace detent {

/// Where things lie on this machine. places.cpp alone is compiled with such paths: compiler caches serve all other
/// sources of the tests in any tree.
std::string source_path(const std::string& below = {});  ///< of the source tree, or what lies `below` it
std::string program_path();                              ///< of detent
std::string faulty_writes_path();                        ///< of the library that makes writes fail

}  // namespace detent
