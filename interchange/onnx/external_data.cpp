#include "detent/interchange/onnx/external_data.h"

#include <algorithm>
#include <charconv>
#include <fstream>

#include "detent/core/error.h"

namespace detent::onnx {
namespace {

namespace fs = std::filesystem;

std::uint64_t number_in(const ExternalData& data, const std::string& entry, std::uint64_t other) {
  const auto found = data.entries.find(entry);
  if (found == data.entries.end()) {
    return other;
  }
  std::uint64_t number = 0;
  const char* const end = found->second.data() + found->second.size();
  const auto [stop, error] = std::from_chars(found->second.data(), end, number);
  check(error == std::errc() && stop == end, "tensor '", data.tensor, "': external data: ", entry,
        ": expected a whole number of bytes, got '", found->second, "'");
  return number;
}

/// The file that `location` names, which lies below `folder`.
fs::path file_of(const ExternalData& data, const fs::path& folder) {
  const auto found = data.entries.find("location");
  check(found != data.entries.end() && !found->second.empty(), "tensor '", data.tensor,
        "': external data: no location is given");
  const fs::path location(found->second);
  const bool leaves = location.is_absolute() || std::ranges::find(location, fs::path("..")) != location.end();
  check(!leaves, "tensor '", data.tensor, "': external data: '", found->second,
        "' lies outside of the model's folder; only files beside the model are read");
  std::error_code error;
  const fs::path root = fs::canonical(folder.empty() ? fs::path(".") : folder, error);
  const fs::path file = error ? fs::path() : fs::canonical(root / location, error);
  check(!error, "tensor '", data.tensor, "': external data: there is no file '", found->second,
        "' beside the model; put it there");
  const auto [in_root, in_file] = std::ranges::mismatch(root, file);
  check(in_root == root.end() && in_file != file.end() && fs::is_regular_file(file), "tensor '", data.tensor,
        "': external data: '", found->second,
        "' is not a file in the model's folder; only files beside the model are read");
  return file;
}

}  // namespace

std::vector<std::byte> read_external(const ExternalData& data, std::uint64_t bytes, const fs::path& folder) {
  const fs::path file = file_of(data, folder);
  const std::uint64_t offset = number_in(data, "offset", 0);
  const std::uint64_t length = number_in(data, "length", bytes);
  check(length == bytes, "tensor '", data.tensor, "': external data: its shape and type ask for ", bytes,
        " bytes, but its length is ", length);
  const std::uint64_t size = fs::file_size(file);
  check(offset <= size && bytes <= size - offset, "tensor '", data.tensor, "': external data: expected ", bytes,
        " bytes from byte ", offset, " on, but ", file.filename().string(), " has ", size, " bytes");
  std::vector<std::byte> result(bytes);
  std::ifstream in(file, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(offset));
  in.read(reinterpret_cast<char*>(result.data()), static_cast<std::streamsize>(bytes));
  check(in.good(), "tensor '", data.tensor, "': external data: ", file.filename().string(), " cannot be read");
  return result;
}

}  // namespace detent::onnx
