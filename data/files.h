#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace detent::data {

/// Reads a file from front to back, uncompressing it on the way if it starts as gzip does (1f 8b); several gzip members
/// one after the other are read as one. Memory use does not depend on what the file claims to hold.
///
/// Every error is an Error that starts with the file's path: it cannot be opened or read, the gzip data are damaged
/// (their CRC-32 and length are checked), cut short, or followed by something else.
class ByteReader {
 public:
  explicit ByteReader(std::filesystem::path path);
  /// Reads bytes that are in memory as if they were the content of `path`, which is named in errors.
  ByteReader(std::filesystem::path path, std::span<const std::byte> content);
  ~ByteReader();
  ByteReader(ByteReader&&) noexcept;

  /// Fills as much of `bytes` as the file still holds and returns how much that was.
  std::size_t read(std::span<std::byte> bytes);
  /// The next `count` bytes, or as many as there are. Grows with what is there: `count` may be a lie.
  std::vector<std::byte> read_up_to(std::uint64_t count);
  const std::filesystem::path& path() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The whole file, uncompressed.
std::vector<std::byte> read_file(const std::filesystem::path& path);

/// `bytes` as one gzip member, without name and time, so that the same bytes give the same file.
std::vector<std::byte> gzip(std::span<const std::byte> bytes);

/// Writes `bytes` to `path` as a whole or not at all (autograd/atomic_file.h).
void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes);

}  // namespace detent::data
