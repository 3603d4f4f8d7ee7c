#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace detent::onnx {

/// Where a tensor's bytes lie that are in a file of their own: the entries `location`, `offset` and `length` of the
/// format, and what messages call the tensor.
struct ExternalData {
  std::string tensor = {};
  std::map<std::string, std::string> entries = {};
};

/// The `bytes` bytes of a tensor. `location` is relative to `folder`, and the file lies in it or below it, also once
/// symbolic links are followed. Throws Error for a location elsewhere, a file that is missing, or too short for what is
/// asked for, before it asks for memory.
std::vector<std::byte> read_external(const ExternalData& data, std::uint64_t bytes,
                                     const std::filesystem::path& folder);

}  // namespace detent::onnx
