#pragma once

#include <cstdint>

/// Codes of at most 2 bits as bit planes. Private to this folder.
namespace detent::kernels {

/// Where the bits of pixels go: those of a pixel's channels to bytes of their own, the first channel in the lowest bit,
/// what is left of the last byte 0. REQUIRES: eight bytes behind the last pixel's are writable.
struct PlanesOf {
  std::uint8_t* lower = nullptr;
  std::uint8_t* upper = nullptr;  ///< null: one plane
  std::int32_t* sums = nullptr;   ///< of each pixel's codes; null: not wanted
};

/// Bytes of a pixel in a plane.
inline constexpr std::int64_t bytes_of_bits(std::int64_t channels) { return (channels + 7) / 8; }

/// Packs `pixels` pixels of `channels` codes, which lie side by side, as does what is written. Bits of codes beyond the
/// planes are left out. Gives whether a bit of the lower plane is set.
bool pack_planes(const std::uint8_t* codes, std::int64_t pixels, std::int64_t channels, const PlanesOf& to);
/// The same of pixels whose codes all are `code`.
bool fill_planes(std::uint8_t code, std::int64_t pixels, std::int64_t channels, const PlanesOf& to);

}  // namespace detent::kernels
