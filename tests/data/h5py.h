#pragma once

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>

#include "detent/core/error.h"

namespace detent {

/// The lines of Python that run `script` on the HDF5 file `path`, open for writing as f.
inline std::string on_file(const std::filesystem::path& path, const std::string& script) {
  return "f = h5py.File('" + path.string() + "', 'a')\n" + script + "\nf.close()\n";
}

/// Runs `script`, Python without double quotes, with h5py and numpy as np. False, said loudly, if there is no h5py:
/// skip what needs it. Throws Error if the script fails.
inline bool run_h5py(const std::string& script) {
  if (std::system("/usr/bin/python3 -c 'import h5py' 2>/dev/null") != 0) {
    std::cout << "*** NOT TESTED: python3-h5py is not installed ***\n";
    return false;
  }
  const std::string command = "/usr/bin/python3 -c \"import h5py, numpy as np\n" + script + "\"";
  check(std::system(command.c_str()) == 0, "h5py refuses:\n", script);
  return true;
}

}  // namespace detent
