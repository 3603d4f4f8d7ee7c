#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace detent {

/// SHA-256 (FIPS 180-4) of bytes that come in pieces of any length. Uses the processor's SHA instructions where it has
/// them (about 1.5 GB a second), else portable code with the same result.
class Sha256 {
 public:
  enum class Path : std::uint8_t { Fastest, Portable };

  explicit Sha256(Path path = Path::Fastest);

  void update(std::span<const std::byte> bytes);
  /// The digest of everything so far, as 64 lower-case hexadecimal digits. More may follow.
  std::string hex() const;

 private:
  using Compress = void (*)(std::uint32_t* state, const std::byte* blocks, std::size_t count);

  Compress compress_;
  std::array<std::uint32_t, 8> state_;
  std::array<std::byte, 64> pending_{};
  std::uint64_t bytes_ = 0;
};

/// The digest of `bytes` in hexadecimal digits.
std::string sha256_hex(std::span<const std::byte> bytes);
/// The same of a file's bytes. Throws Error if it cannot be read.
std::string file_sha256(const std::filesystem::path& path);

}  // namespace detent
