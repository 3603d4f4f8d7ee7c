#pragma once

#include <zlib.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tests/data/temp_folder.h"

namespace detent {

/// The bytes of a .npy file of version 1 with this header and these elements.
inline std::string npy_bytes(const std::string& header, const std::string& elements) {
  std::string text = header + "\n";
  const auto length = static_cast<std::uint16_t>(text.size());
  std::string bytes("\x93NUMPY\x01", 7);
  bytes += '\0';
  bytes += static_cast<char>(length & 0xFF);
  bytes += static_cast<char>(length >> 8);
  return bytes + text + elements;
}

inline std::string npy_header(const std::string& descr, const std::string& shape, bool is_fortran = false) {
  return "{'descr': '" + descr + "', 'fortran_order': " + (is_fortran ? "True" : "False") + ", 'shape': " + shape +
         ", }";
}

/// The elements' bytes as they lie in memory.
template <typename T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

template <typename T>
std::string npy(const std::string& descr, const std::string& shape, const std::vector<T>& values,
                bool is_fortran = false) {
  return npy_bytes(npy_header(descr, shape, is_fortran), bytes_of(values));
}

inline std::string little(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) {
    text += static_cast<char>(value >> 8 * i & 0xFF);
  }
  return text;
}

inline std::string deflated(const std::string& bytes) {
  z_stream zip{};
  deflateInit2(&zip, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(bytes.size() + 1024, '\0');
  zip.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  zip.avail_in = static_cast<uInt>(bytes.size());
  zip.next_out = reinterpret_cast<Bytef*>(out.data());
  zip.avail_out = static_cast<uInt>(out.size());
  deflate(&zip, Z_FINISH);
  out.resize(zip.total_out);
  deflateEnd(&zip);
  return out;
}

/// A ZIP archive of these files, as numpy.savez and, compressed, savez_compressed write it.
inline std::string zip_bytes(const std::vector<std::pair<std::string, std::string>>& files,
                             bool is_compressed = false) {
  std::string out, directory;
  for (const auto& [name, content] : files) {
    const std::string stored = is_compressed ? deflated(content) : content;
    const auto crc = crc32(0, reinterpret_cast<const Bytef*>(content.data()), static_cast<uInt>(content.size()));
    const std::string common = little(20, 2) + little(0, 2) + little(is_compressed ? 8 : 0, 2) + little(0, 4) +
                               little(crc, 4) + little(stored.size(), 4) + little(content.size(), 4) +
                               little(name.size(), 2);
    directory += little(0x02014b50, 4) + little(20, 2) + common + little(0, 2) + little(0, 2) + little(0, 2) +
                 little(0, 2) + little(0, 4) + little(out.size(), 4) + name;
    out += little(0x04034b50, 4) + common + little(0, 2) + name + stored;
  }
  const std::string end = little(0x06054b50, 4) + little(0, 4) + little(files.size(), 2) + little(files.size(), 2) +
                          little(directory.size(), 4) + little(out.size(), 4) + little(0, 2);
  return out + directory + end;
}

/// An archive .npz; the names without their ending.
inline void write_npz(const std::filesystem::path& path, std::vector<std::pair<std::string, std::string>> arrays,
                      bool is_compressed = false) {
  for (auto& [name, bytes] : arrays) {
    name += ".npy";
  }
  write_text(path, zip_bytes(arrays, is_compressed));
}

}  // namespace detent
