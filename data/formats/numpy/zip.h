#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace detent::data {

/// The files in a ZIP archive (PKWARE's APPNOTE 6.3), stored or deflated, with 64-bit sizes, as numpy and other
/// programs write them. No encryption and no archive in several parts.
///
/// What the directory claims is checked before memory is asked for: offsets and compressed sizes lie in the file, and
/// no file claims more than deflate can pack or the machine holds; CRC-32 and sizes are checked as it is read. Throws
/// Error, which begins with the archive's path.
class ZipArchive {
 public:
  struct Entry {
    std::string name;
    std::uint64_t compressed_bytes = 0;
    std::uint64_t bytes = 0;
    std::uint64_t offset = 0;  ///< of its local header
    std::uint32_t crc = 0;
    std::uint32_t method = 0;  ///< 0: stored, 8: deflated
  };

  explicit ZipArchive(const std::filesystem::path& path);

  const std::vector<Entry>& entries() const { return entries_; }
  std::vector<std::byte> read(const Entry& entry);

 private:
  std::vector<std::byte> bytes_at(std::uint64_t offset, std::uint64_t count);
  void read_directory();
  std::size_t read_entry(std::string_view directory, std::size_t at);

  std::string path_;
  std::ifstream file_;
  std::uint64_t file_bytes_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace detent::data
