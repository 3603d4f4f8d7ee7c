#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace detent {

/// The counter-based generator Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3;
/// SC 2011): four random words from a 64-bit key and a 128-bit counter, with no state in between.
std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

/// Random numbers of one purpose ("shuffle", "dropout/conv1", ...) under one seed. Two streams with another seed,
/// purpose or index are independent; the same three give the same numbers on every thread, processor and library.
/// The distributions are the project's own.
class RandomStream {
 public:
  /// `index` tells apart what has one purpose: the epoch of a shuffle, the number of an image.
  RandomStream(std::uint64_t seed, std::string_view purpose, std::uint64_t index = 0);

  std::uint32_t bits();
  /// Uniform in [0, 1), a multiple of 2^-24.
  float uniform();
  /// Uniform in [low, high).
  float uniform(float low, float high);
  /// Standard normal (Box-Muller).
  float normal();
  /// Uniform in [0, n). REQUIRES: n >= 1.
  std::uint32_t index(std::uint32_t n);

  /// The word at position `position` of this stream, without moving it: what parallel loops use.
  std::uint32_t bits_at(std::uint64_t position) const;
  /// The words at positions 4 * block to 4 * block + 3: what parallel loops over many positions use.
  std::array<std::uint32_t, 4> block_at(std::uint64_t block) const;

 private:
  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 2> high_;  // the upper half of the counter: the index
  std::uint64_t position_ = 0;
  std::uint64_t cached_block_ = ~std::uint64_t{0};
  std::array<std::uint32_t, 4> cached_{};
};

}  // namespace detent
