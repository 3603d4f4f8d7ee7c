#pragma once

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>

namespace detent {

/// Runs `script` (lines of Python, without double quotes) on the HDF5 file `path`, open for writing as f, with h5py and
/// numpy as np. False, said loudly, if there is no h5py: skip what needs it.
inline bool write_with_h5py(const std::filesystem::path& path, const std::string& script) {
  if (std::system("/usr/bin/python3 -c 'import h5py' 2>/dev/null") != 0) {
    std::cout << "*** NOT TESTED: python3-h5py is not installed ***\n";
    return false;
  }
  std::string command = "/usr/bin/python3 -c \"import h5py, numpy as np\nf = h5py.File('";
  command.append(path.string()).append("', 'a')\n").append(script).append("\nf.close()\"");
  const bool is_written = std::system(command.c_str()) == 0;
  if (!is_written) {
    std::cout << "*** h5py refuses:\n" << script << '\n';
    std::abort();
  }
  return true;
}

}  // namespace detent
