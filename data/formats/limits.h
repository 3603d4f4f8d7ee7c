#pragma once

#include <cstdint>
#include <string>

namespace detent::data {

/// The most bytes of a text file, uncompressed.
inline constexpr std::uint64_t kLargestText = std::uint64_t{1} << 33;
/// The most pixels of one image: 8192 x 8192.
inline constexpr std::int64_t kMostPixels = std::int64_t{1} << 26;
/// The most that deflate packs into one byte.
inline constexpr std::uint64_t kLargestDeflation = 1032;

/// The bytes of elements of `item_bytes` in `count` of them. Throws Error, which begins with `where`, if these are more
/// than the machine has memory.
std::uint64_t checked_bytes(const std::string& where, std::uint64_t count, std::uint64_t item_bytes);

}  // namespace detent::data
