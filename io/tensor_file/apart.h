#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>

#include "detent/io/tensor_file.h"

/// Reading in a process of its own. Private to io.
namespace detent::hdf5 {

/// What reading a file may take.
struct Limits {
  std::uint64_t memory = 0;  ///< bytes beyond what this process has
  std::uint64_t cpu_seconds = 0;
  std::chrono::milliseconds wait = {};  ///< in all, so that not even a process that waits for ever is waited for so

  /// Of a file of so many bytes: as much as the filters that pack most ask for, and what every file needs.
  static Limits of_file(std::uint64_t bytes);
};

/// What `read` returns or throws as Error, in a process forked from this one, which holds nothing open that this one
/// has, prints nothing, writes no file, and has died when this returns. Throws Error, which begins with "read 'PATH': "
/// and says how it ended, if it crashed or came to one of its limits; and Interrupted.
TensorFile read_apart(const std::filesystem::path& path, const Limits& limits, const std::function<TensorFile()>& read);

}  // namespace detent::hdf5
